package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A collection costs as much as there is alive, however little it finds. With tens
// of thousands of waiting clients that is much, and most of the time nothing
// happens: then memory is worth more than processor time. Under load it is the
// other way round. So garbage may gather for a few seconds, within bounds.
const (
	gcEvery    = 3 * time.Second // of garbage may gather
	gcHeadroom = 24 << 20        // bytes of it that always may
	gcShare    = 3               // so may one such part of what is alive
	gcMost     = 400             // percent of what is alive that never may be exceeded
	gcTune     = 2 * time.Second
	gcMemory   = 5       // turns in which a rate is forgotten
	gcCalm     = 8 << 20 // bytes a second; with less, hardly anything happens
)

// tuneGC sets GOGC by what is alive and how fast garbage is made, until ctx ends.
// Where the environment sets it, that holds.
func tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(gcTune)
	defer tick.Stop()
	var t gcTuner
	for {
		t.turn()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// gcTuner is what tuneGC remembers.
type gcTuner struct {
	percent int
	rate    uint64 // bytes made each second: rises at once, falls slowly
	made    uint64 // bytes until the last turn
	storm   bool   // there was much garbage, and its memory has not been given back
	calm    int    // turns since
}

func (t *gcTuner) turn() {
	live, made := heap()
	now := uint64(0)
	if t.made > 0 {
		now = (made - t.made) / uint64(gcTune/time.Second)
	}
	t.made = made
	t.rate = max(now, t.rate*(gcMemory-1)/gcMemory)
	if wanted := gcPercent(live, t.rate); wanted != t.percent {
		t.percent = wanted
		debug.SetGCPercent(wanted)
	}
	if t.calm++; now >= gcCalm {
		t.storm, t.calm = true, 0
	}
	if t.storm && t.calm == 2 {
		t.storm = false
		debug.FreeOSMemory() // as when ten thousands have come back after a restart
	}
}

// gcPercent returns the GOGC for so many bytes alive and made each second.
func gcPercent(live, rate uint64) int {
	live = max(live, 1<<20)
	allowed := max(gcHeadroom, live/gcShare, rate*uint64(gcEvery/time.Second))
	return int(min(100*allowed/live, gcMost))
}

// heap returns how many bytes the last collection found alive, and how many have
// been made so far.
func heap() (live, made uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	for i, to := range []*uint64{&live, &made} {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			*to = samples[i].Value.Uint64()
		}
	}
	return live, made
}
