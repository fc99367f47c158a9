package ingest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pingEvery is the longest pause between two pings; the shortest is half of it.
const pingEvery = 500 * time.Millisecond

// pingLimit is how long a ping may take. If Redis fails, receiving stops within pingEvery and
// pingLimit, which is a second.
const pingLimit = 500 * time.Millisecond

var errPingLate = fmt.Errorf("no answer to a ping in time: %w", os.ErrDeadlineExceeded)

// gate is open only while Redis answers without an error. While it is closed nothing is
// received: a message must not use up its receive count while it waits for Redis, not
// even if the process restarts repeatedly.
type gate struct {
	ping    func(context.Context) error
	outages *outages
	paused  prometheus.Gauge
	now     chan struct{} // requests a ping without delay

	mu      sync.Mutex
	shut    bool
	changed chan struct{} // closed at the next change of shut
}

func newGate(ping func(context.Context) error, o *outages, paused prometheus.Gauge) *gate {
	paused.Set(1)
	return &gate{ping: ping, outages: o, paused: paused, shut: true, now: make(chan struct{}, 1), changed: make(chan struct{})}
}

// run pings Redis until ctx ends, even while no messages arrive: no receive may start
// while Redis fails.
func (g *gate) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.now:
		case <-timer.C:
		}
		// A late ping is not canceled: otherwise a new connection might never be established.
		late := time.AfterFunc(pingLimit, func() { g.set(errPingLate) })
		err := g.ping(ctx)
		late.Stop()
		if ctx.Err() != nil {
			return
		}
		g.set(err)
		timer.Reset(jitter(pingEvery))
	}
}

// suspect requests a ping without delay. It does not close the gate, because the message
// may be the problem, not Redis.
func (g *gate) suspect() {
	select {
	case g.now <- struct{}{}:
	default:
	}
}

func (g *gate) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.outages.fails(PartStore, causeGate, g.outages.now(), 0, storeReason(err))
	} else {
		g.outages.works(PartStore, causeGate)
	}
	if g.shut == (err != nil) {
		return
	}
	g.shut = err != nil
	close(g.changed)
	g.changed = make(chan struct{})
	g.paused.Set(map[bool]float64{true: 1}[g.shut])
}

func (g *gate) state() (shut bool, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut, g.changed
}

// await returns nil once the gate is open, or the error of ctx.
func (g *gate) await(ctx context.Context) error {
	for ctx.Err() == nil {
		shut, changed := g.state()
		if !shut {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return ctx.Err()
}
