package wire

import (
	"errors"
	"time"
)

// stage is what a connection does. Each has a time that it may last. Nobody sets a
// deadline for it, which would cost as much as the rest of a request: a connection
// notes when its stage ends, and a sweep each second closes those that are over.
type stage uint32

const (
	fresh   stage = iota // nothing was read yet
	idle                 // it has no request
	begun                // a head or a handshake has begun to arrive
	busy                 // a request is being answered
	waiting              // a request waits
	over                 // it is to be closed
)

// How long stages may last, in sweeps.
const (
	sweepEvery = time.Second
	idleLimit  = 75
	headLimit  = 5
)

// limits are the times of the stages; 0: no limit, or one of its own.
var limits = [over]uint32{fresh: idleLimit, idle: idleLimit, begun: headLimit}

var errOver = errors.New("the connection was idle, or its request took too long to arrive")

// enter begins a stage. It is an error if the sweep has closed the connection meanwhile.
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

// closeIf closes the connection if its stage is one of those that ended says, which is
// called with the sweep at which it ends. Its goroutine is reading then and nothing else.
func (c *conn) closeIf(ended func(s stage, at uint32) bool) {
	now := c.stage.Load()
	if ended(stage(now>>32), uint32(now)) && c.stage.CompareAndSwap(now, uint64(over)<<32) {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // so that the read returns
	}
}

// expired reports whether a stage has lasted as long as it may.
func (s *Server) expired(_ stage, at uint32) bool { return at != 0 && at <= s.sweeps.Load() }
