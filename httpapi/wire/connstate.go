package wire

import (
	"errors"
	"time"
)

// stage is what a connection does. Each stage has a time limit. There is no deadline for
// it, which would cost as much as the rest of a request: a connection notes when its
// stage must end, and a sweep every second closes those that are late.
type stage uint32

const (
	fresh   stage = iota // nothing was read yet
	idle                 // it has no request
	begun                // a head or a handshake is arriving
	busy                 // a request is being answered
	waiting              // a request waits
	over                 // the connection must be closed
)

// How long stages may last, in sweeps.
const (
	sweepEvery = time.Second
	idleLimit  = 75
	headLimit  = 5
)

// limits are the time limits of the stages; 0: no limit, or a separate one.
var limits = [over]uint32{fresh: idleLimit, idle: idleLimit, begun: headLimit}

var errOver = errors.New("the connection was idle, or its request took too long to arrive")

// enter begins a stage. It returns an error if the sweep has closed the connection in the meantime.
func (c *conn) enter(s stage) error {
	next := uint64(s) << 32
	if limit := limits[s]; limit > 0 {
		next |= uint64(c.server.sweeps.Load() + limit)
	}
	for {
		now := c.stage.Load()
		if stage(now>>32) == over {
			return errOver
		}
		if c.stage.CompareAndSwap(now, next) {
			return nil
		}
	}
}

// resting is the stage of a connection without a request.
func (c *conn) resting() stage {
	if stage(c.stage.Load()>>32) == fresh {
		return fresh
	}
	return idle
}

// closeIf closes the connection if ended returns true for its stage and the sweep at
// which it ends. In these stages its goroutine only reads.
func (c *conn) closeIf(ended func(s stage, at uint32) bool) {
	now := c.stage.Load()
	if ended(stage(now>>32), uint32(now)) && c.stage.CompareAndSwap(now, uint64(over)<<32) {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // so that the read returns
	}
}

// expired reports whether a stage has lasted as long as it may.
func (s *Server) expired(_ stage, at uint32) bool { return at != 0 && at <= s.sweeps.Load() }
