package httpapi

import (
	"cmp"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// Limits are what this process gives at most. Beyond them requests are refused at
// once, which is better than all of them being late. Each is shared between
// callers, so that none of them takes it all. 0 stands for the default.
type Limits struct {
	Reads   int64         // requests for the status of one execution that are being answered; 20,000
	Others  int64         // requests of each other route that are being answered, and refusals that are being sent; 1,000
	Waiting int64         // executions that are waited for or followed; 80,000
	Asked   int64         // executions that are read at once for sets and batches; 2,000
	Bodies  int64         // bytes of requests that arrive; 256 MiB
	Answers int64         // bytes of large answers on their way; 256 MiB
	Files   uint64        // that this process may have open, so that some are left beside connections; no bound
	Taken   time.Duration // for a piece of an answer to be taken over HTTP/2; 6 s
}

const (
	defaultWaiting = 80_000
	// FilesNeeded is how many files a process needs to be allowed to have open for
	// what it promises by default: a connection for each of those who wait, and some
	// for everybody and everything else.
	FilesNeeded = defaultWaiting + 4_000
)

func (l Limits) orDefaults() Limits {
	l.Reads = cmp.Or(l.Reads, 20_000)
	l.Others = cmp.Or(l.Others, 1_000)
	l.Waiting = cmp.Or(l.Waiting, defaultWaiting)
	l.Asked = cmp.Or(l.Asked, 2_000)
	l.Bodies = cmp.Or(l.Bodies, 256<<20)
	l.Answers = cmp.Or(l.Answers, 256<<20)
	l.Taken = cmp.Or(l.Taken, writeLimit)
	return l
}

// How much of a pool one alone may have.
const (
	shareEvenly = 1 // half of it
	shareNearly = 3 // three quarters: one caller may ask on behalf of many
)

// share prepares what requests share.
func (s *Server) share() {
	s.callers = newHolders(func() *holder { return s.newHolder(s.rates.bucket()) })
	s.addresses = newHolders(func() *holder { return s.newHolder(nil) })
	s.bodies = s.newPool(s.limits.Bodies, shareEvenly)
	s.answers = s.newPool(s.limits.Answers, shareEvenly)
	s.refusals = s.newPool(s.limits.Others, shareEvenly)
	s.reads = semaphore.NewWeighted(s.limits.Asked)
	s.room = newRoom(s.auth, s.newPool(s.limits.Waiting, shareNearly))
}

func (s *Server) newPool(limit, greed int64) *pool {
	s.pools++
	return &pool{limit: limit, greed: greed, index: s.pools - 1}
}

// newHolder returns somebody new. It must not be called before every pool is
// there.
func (s *Server) newHolder(bucket *rate.Limiter) *holder {
	return &holder{held: make([]atomic.Int64, s.pools), bucket: bucket, reads: semaphore.NewWeighted(maxSet)}
}
