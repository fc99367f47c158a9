package redisdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// roundTrips is the number of round trips of the first command on a new connection:
// connect, log in, and the command.
const roundTrips = 2

// tooFar explains that Redis answers, but so late that a new connection cannot be used
// within the limit of a read; empty if err has another cause.
func (a *address) tooFar(ctx context.Context, dial Dialer, err error) string {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return ""
	}
	trip, answered := a.roundTrip(ctx, dial)
	_, limit := a.bounds(reads)
	if !answered || roundTrips*trip < limit {
		return ""
	}
	return fmt.Sprintf("Redis answers only after %v, but a new connection and its first command must be complete within %v; run statusd near Redis (in its region, not through a slow tunnel), or use SLOWLOG GET to see what keeps Redis busy",
		trip.Round(time.Millisecond), limit)
}

// roundTrip measures how long an answer takes: to the beginning of TLS, or to a PING.
func (a *address) roundTrip(ctx context.Context, dial Dialer) (took time.Duration, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, examineLimit/2) // a port without TLS may stay silent; wrongTLS explains that
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
