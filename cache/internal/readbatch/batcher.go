package readbatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/batchqueue"
	"statuscache/cache/internal/redisdb"
)

const (
	maxWaiting = 8192 // further reads are refused at once
	maxBatch   = 128  // keys read in one round trip
)

// Errors of reads that are not sent to Redis.
var (
	// ErrOverloaded means that too many reads are already waiting for Redis.
	ErrOverloaded = errors.New("too many reads are waiting for Redis")
	errTooLate    = errors.New("redis did not answer in time")
)

// Read is the read of one key.
type Read interface {
	Key() string
	// Base has the values of the caller's context. It never ends, because others may wait
	// for the read after the caller has gone.
	Base() context.Context
	Deadline() time.Time
	// End receives the result of the read. It is called once.
	End(Value, error)
}

// Value is the answer to one GET.
type Value struct {
	Text  string
	Found bool
}

// Batcher reads keys. Each primary has a separate queue, so that a silent primary does
// not delay the others.
type Batcher struct {
	db      *redisdb.DB
	batches prometheus.Counter

	mu     sync.Mutex
	queues map[string]*queue // by the address of the primary
}

// New returns a Batcher that counts its round trips in batches.
func New(db *redisdb.DB, batches prometheus.Counter) *Batcher {
	return &Batcher{db: db, batches: batches, queues: map[string]*queue{}}
}

// queue has the reads that wait for one primary.
type queue struct {
	*Batcher
	reads batchqueue.Queue[Read]

	mu   sync.Mutex
	node redisdb.Client
}

// Do starts reads. Reads that cannot start end at once, with an error.
func (m *Batcher) Do(reads ...Read) {
	if len(reads) == 1 {
		if q, ok := m.begin(reads[0]); ok {
			q.add(reads)
		}
		return
	}
	queues := map[*queue][]Read{}
	for _, r := range reads {
		if q, ok := m.begin(r); ok {
			queues[q] = append(queues[q], r)
		}
	}
	for q, some := range queues {
		q.add(some)
	}
}

// begin returns the queue for a read, or ends the read with an error.
func (m *Batcher) begin(r Read) (*queue, bool) {
	q, err := m.queueOf(r)
	if err != nil {
		r.End(Value{}, err)
	}
	return q, err == nil
}

// queueOf returns the queue of the primary that has the key.
func (m *Batcher) queueOf(r Read) (*queue, error) {
	if !m.db.Cluster() {
		return m.queue(m.db.Readers), nil
	}
	ctx, cancel := context.WithDeadline(r.Base(), r.Deadline())
	defer cancel()
	node, err := m.db.ReaderOf(ctx, r.Key())
	if err != nil {
		return nil, err
	}
	return m.queue(node), nil
}

func (m *Batcher) queue(node redisdb.Client) *queue {
	addr := redisdb.Address(node)
	m.mu.Lock()
	defer m.mu.Unlock()
	q, ok := m.queues[addr]
	if !ok {
		q = &queue{Batcher: m}
		q.reads.Run, q.reads.Fit, q.reads.Late = q.read, fit, q.late
		m.queues[addr] = q
	}
	q.use(node)
	return q
}

// use sets a new client, because a primary that went away and came back has another client.
func (m *queue) use(node redisdb.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = node
}

// add starts reads if there is space, and otherwise ends them.
func (m *queue) add(reads []Read) {
	if !m.reads.Add(maxWaiting, reads...) {
		endAll(reads, ErrOverloaded)
	}
}

func fit(waiting []Read) int { return min(len(waiting), maxBatch) }

// late reports whether a read has waited for a while.
func (m *queue) late(r Read) bool {
	return time.Until(r.Deadline()) < m.db.Limits.Read-batchqueue.HelpAfter/2
}

func endAll(reads []Read, err error) {
	for _, r := range reads {
		r.End(Value{}, err)
	}
}

// read reads together and ends each of the reads.
func (m *queue) read(reads []Read) {
	if reads = m.endLate(reads); len(reads) == 0 {
		return
	}
	m.batches.Inc()
	newest := reads[len(reads)-1]
	ctx, cancel := context.WithDeadline(newest.Base(), newest.Deadline())
	defer cancel()
	answers, err := m.answers(ctx, reads)
	if err != nil {
		endAll(reads, err)
		return
	}
	for i, r := range reads {
		r.End(answers[i].Value, answers[i].err)
	}
}

// endLate ends the reads that waited too long and returns the others.
func (m *queue) endLate(reads []Read) []Read {
	now := time.Now()
	for i, r := range reads { // oldest first
		if r.Deadline().After(now) {
			return reads[i:]
		}
		r.End(Value{}, errTooLate)
	}
	return nil
}

// answer is a Value or an error.
type answer struct {
	Value
	err error
}

// answers reads in one round trip.
func (m *queue) answers(ctx context.Context, reads []Read) ([]answer, error) {
	m.mu.Lock()
	node := m.node
	m.mu.Unlock()
	keys := make([]string, len(reads))
	for i, r := range reads {
		keys[i] = r.Key()
	}
	if !m.db.Cluster() {
		return multiGet(ctx, node, keys)
	}
	return m.pipelinedGet(ctx, node, keys), nil
}

// multiGet costs Redis less than a pipeline, but all keys must be on one node.
func multiGet(ctx context.Context, node redisdb.Client, keys []string) ([]answer, error) {
	values, err := node.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(keys))
	for i, v := range values {
		answers[i].Text, answers[i].Found = v.(string)
	}
	return answers, nil
}

// pipelinedGet reads from one node of a cluster. A key that has moved in the meantime is
// read from its new node.
func (m *queue) pipelinedGet(ctx context.Context, node redisdb.Client, keys []string) []answer {
	pipe := node.Pipeline()
	cmds := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.Get(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	answers := make([]answer, len(keys))
	for i, cmd := range cmds {
		if redisdb.MovedAway(cmd.Err()) {
			cmd = m.db.Readers.Get(ctx, keys[i])
		}
		text, err := cmd.Result()
		switch {
		case err == nil:
			answers[i].Value = Value{Text: text, Found: true}
		case !errors.Is(err, redis.Nil):
			answers[i].err = err
		}
	}
	return answers
}
