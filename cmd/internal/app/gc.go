package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A request leaves garbage and little else, so collecting it less often saves a
// tenth of the processor time. What that costs in memory is bounded: with tens of
// thousands of waiting clients, the usual multiple of what is alive would be most
// of the process.
const (
	gcHeadroom  = 40 << 20 // bytes of garbage that are always allowed
	gcShare     = 3        // beyond that, garbage of up to one such part of what is alive
	gcMost      = 400      // percent
	gcTuneEvery = 2 * time.Second
)

// tuneGC sets GOGC by what is alive until ctx ends. Where the environment sets it,
// that holds.
func tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(gcTuneEvery)
	defer tick.Stop()
	percent := 0
	for {
		if wanted := gcPercent(liveHeap()); wanted != percent {
			percent = wanted
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// gcPercent returns the GOGC for so many bytes alive.
func gcPercent(live uint64) int {
	live = max(live, 1<<20)
	allowed := max(gcHeadroom, live/gcShare)
	return int(min(100*allowed/live, gcMost))
}

// liveHeap returns what the last collection found alive, in bytes.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
