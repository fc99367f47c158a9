package ingest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pingEvery is how often the gate asks Redis, at most; half of it at least.
const pingEvery = 500 * time.Millisecond

// pingLimit is how long a ping may take. Together with pingEvery it keeps the
// promise that receiving stops within a second.
const pingLimit = 500 * time.Millisecond

var errPingLate = fmt.Errorf("no answer to a ping in time: %w", os.ErrDeadlineExceeded)

// gate is shut until Redis has shown that it is well, and while it is sick.
// Nothing is received then, so that no message uses up its receive count waiting
// for it, not even where the process is restarted again and again.
type gate struct {
	ping    func(context.Context) error
	outages *outages
	paused  prometheus.Gauge
	now     chan struct{} // asks for a ping without delay

	mu      sync.Mutex
	shut    bool
	changed chan struct{} // closed at the next change of shut
}

func newGate(ping func(context.Context) error, o *outages, paused prometheus.Gauge) *gate {
	paused.Set(1)
	return &gate{ping: ping, outages: o, paused: paused, shut: true, now: make(chan struct{}, 1), changed: make(chan struct{})}
}

// run asks Redis again and again until ctx ends, whether messages come or not: no
// receive may begin while Redis is sick.
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
		// A late ping goes on: cut short, a new connection might never come about.
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

// suspect asks Redis without delay. It does not shut the gate: it may be a message
// and not Redis.
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
