package redisdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// roundTrips are those of the first command of a new connection: to connect, to log in, and
// the command.
const roundTrips = 2

// tooFar says that Redis answers, but so late that a new connection is of no use within the
// limit of a read; empty if that is not why err came.
func (a *address) tooFar(ctx context.Context, dial Dialer, err error) string {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return ""
	}
	trip, answered := a.roundTrip(ctx, dial)
	_, limit := a.bounds(reads)
	if !answered || roundTrips*trip < limit {
		return ""
	}
	return fmt.Sprintf("Redis answers only after %v, and a new connection and its first command must be done within %v; run statusd near Redis (in its region, not through a slow tunnel), or see with SLOWLOG GET what keeps it busy",
		trip.Round(time.Millisecond), limit)
}

// roundTrip measures how long an answer takes: that to the beginning of TLS, or to a PING.
func (a *address) roundTrip(ctx context.Context, dial Dialer) (took time.Duration, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, examineLimit/2) // a port without TLS may stay silent, which has its own word
	defer cancel()
	conn, err := a.dialFirst(ctx, dial)
	if err != nil {
		return 0, false
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection that refuses it fails at once
	}
	begun := time.Now()
	if a.tls {
		answered = speaksTLS(ctx, conn)
	} else {
		answered = speaksPlainly(conn)
	}
	return time.Since(begun), answered
}
