package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The cost of a collection depends on the live memory, not on the garbage that it frees. Tens
// of thousands of waiting clients need much live memory, but usually few events happen; memory
// is then scarcer than CPU time. Under load, CPU time is scarcer, and a collection delays all
// answers by about ten milliseconds. So garbage may accumulate, within bounds, for so long that
// a collection delays fewer than one answer in a hundred.
const (
	gcEvery    = 10 * time.Second // the garbage of this duration may accumulate
	gcHeadroom = 24 << 20         // bytes of garbage that are always allowed
	gcShare    = 3                // 1/gcShare of the live memory is always allowed, too
	gcMost     = 400              // garbage never exceeds this percentage of the live memory
	gcTune     = 2 * time.Second
	gcMemory   = 5       // turns over which a rate decays
	gcCalm     = 8 << 20 // bytes per second; below this rate the process is nearly idle
	gcLimit    = 0.9     // share of the memory of the container or machine; near it, collections are more frequent
)

// tuneGC sets GOMEMLIMIT from the memory of the container and, until ctx ends, GOGC from the
// live memory and the allocation rate. It does not change what the environment sets.
func tuneGC(ctx context.Context) error {
	_, _ = memlimit.Set(memlimit.WithRatio(gcLimit), memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem))) // an unknown limit is not set
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

// gcTuner is the state of tuneGC.
type gcTuner struct {
	percent int
	rate    uint64 // allocated bytes per second: rises at once, falls slowly
	made    uint64 // bytes allocated until the last turn
	storm   bool   // there was much garbage, and its memory has not yet been returned to the system
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
		debug.FreeOSMemory() // for example after tens of thousands of clients reconnected
	}
}

// gcPercent returns the GOGC for live bytes and an allocation rate in bytes per second.
func gcPercent(live, rate uint64) int {
	live = max(live, 1<<20)
	allowed := max(gcHeadroom, live/gcShare, rate*uint64(gcEvery/time.Second))
	return int(min(100*allowed/live, gcMost))
}

// heap returns the live bytes of the last collection, and the bytes allocated so far.
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
