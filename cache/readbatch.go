package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/flight"
	"statuscache/cache/internal/redisdb"
)

const (
	maxWaitingReads = 8192 // beyond that a read is refused at once
	maxReadBatch    = 128  // executions asked for in one round trip
	maxReaders      = 4    // round trips under way at once, if they are slow
	helpAfter       = 10 * time.Millisecond
)

// readBatcher reads the records that the near cache does not have. Each
// primary has a queue of its own, so that one that is silent holds up nobody
// else.
type readBatcher struct {
	db      *redisdb.DB
	metrics *metrics
	// outputLife is how long outputs are kept; 0: as long as their records.
	outputLife time.Duration
	end        func(*fill, *Record, error) // takes what a read brought

	mu     sync.Mutex
	queues map[string]*queue // by the address of the primary
}

// queue is the reads that one primary is to be asked for. While a reader waits
// for it, what comes in gathers and shares the next round trip: the more there is
// to do, the less each costs. Another reader helps out only where the first is
// held up.
type queue struct {
	*readBatcher

	mu      sync.Mutex
	node    *redis.Client
	waiting []*fill // oldest first
	readers int
	watched bool // somebody will look whether the readers are held up
}

// add has one read done. It is ended at once if it will not be.
func (m *readBatcher) add(f *fill) {
	q, err := m.queueOf(f)
	if err == nil {
		err = q.add(f)
	}
	if err != nil {
		m.end(f, nil, fmt.Errorf("get %s: %w", f.arn, err))
	}
}

// addAll has reads done. Those that will not be are ended at once.
func (m *readBatcher) addAll(fills []*fill) {
	queues := map[*queue][]*fill{}
	for _, f := range fills {
		q, err := m.queueOf(f)
		if err != nil {
			m.end(f, nil, fmt.Errorf("get %s: %w", f.arn, err))
			continue
		}
		queues[q] = append(queues[q], f)
	}
	for q, some := range queues {
		if err := q.add(some...); err != nil {
			for _, f := range some {
				m.end(f, nil, fmt.Errorf("get %s: %w", f.arn, err))
			}
		}
	}
}

// queueOf returns the queue of the primary that has an execution.
func (m *readBatcher) queueOf(f *fill) (*queue, error) {
	if node, alone := m.db.Readers.(*redis.Client); alone {
		return m.queue(node), nil
	}
	// Others may wait for it after the first caller has gone.
	ctx, cancel := context.WithDeadline(f.base, f.deadline)
	defer cancel()
	node, err := m.db.ReaderOf(ctx, m.db.Names.Execution(string(f.arn)))
	if err != nil {
		return nil, err
	}
	return m.queue(node), nil
}

func (m *readBatcher) queue(node *redis.Client) *queue {
	addr := node.Options().Addr
	m.mu.Lock()
	defer m.mu.Unlock()
	q, ok := m.queues[addr]
	if !ok {
		q = &queue{readBatcher: m}
		m.queues[addr] = q
	}
	q.use(node)
	return q
}

// use changes the client: a primary that went and came back has another one.
func (m *queue) use(node *redis.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = node
}

// add has reads done, as long as there is room. An error means that none will be.
func (m *queue) add(fills ...*fill) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting)+len(fills) > maxWaitingReads {
		return ErrOverloaded
	}
	m.waiting = append(m.waiting, fills...)
	switch {
	case m.readers == 0:
		m.readers++
		go m.drain()
	case !m.watched:
		m.watched = true
		time.AfterFunc(helpAfter, m.help)
	}
	return nil
}

// help adds a reader if somebody has been waiting for one too long.
func (m *queue) help() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watched = false
	if len(m.waiting) == 0 {
		return
	}
	if m.readers < maxReaders && time.Until(m.waiting[0].deadline) < m.db.Limits.Read-helpAfter/2 {
		m.readers++
		go m.drain()
		return
	}
	m.watched = true
	time.AfterFunc(helpAfter, m.help)
}

// drain reads until nothing is waiting.
func (m *queue) drain() {
	for {
		batch := m.next()
		if batch == nil {
			return
		}
		m.read(batch)
	}
}

// next takes what the next round trip asks for. With nil the reader is done.
func (m *queue) next() []*fill {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		m.readers--
		return nil
	}
	n := min(len(m.waiting), maxReadBatch)
	batch := m.waiting[:n:n]
	if m.waiting = m.waiting[n:]; len(m.waiting) == 0 {
		m.waiting = nil
	}
	return batch
}

// read asks for a batch and ends each of its reads.
func (m *queue) read(batch []*fill) {
	if batch = m.endLate(batch); len(batch) == 0 {
		return
	}
	m.metrics.readBatches.Inc()
	newest := batch[len(batch)-1]
	ctx, cancel := context.WithDeadline(newest.base, newest.deadline)
	defer cancel()
	values, err := m.values(ctx, batch)
	for i, f := range batch {
		if err != nil {
			m.end(f, nil, fmt.Errorf("get %s: %w", f.arn, err))
			continue
		}
		r, err := values[i].record(f.arn)
		if err == nil {
			r = r.shown(m.outputLife, time.Now())
		}
		m.end(f, r, err)
	}
}

var errTooLate = errors.New("redis did not answer in time")

// endLate ends the reads that waited too long and returns the others.
func (m *queue) endLate(batch []*fill) []*fill {
	now := time.Now()
	for i, f := range batch { // oldest first
		if f.deadline.After(now) {
			return batch[i:]
		}
		m.end(f, nil, fmt.Errorf("get %s: %w", f.arn, errTooLate))
	}
	return nil
}

// value is the answer to one GET.
type value struct {
	text  string
	found bool
	err   error
}

func (v value) record(arn ARN) (r *Record, err error) {
	defer flight.Recover(&err) // one record must not end the process
	switch {
	case v.err != nil:
		return nil, fmt.Errorf("get %s: %w", arn, v.err)
	case !v.found:
		return nil, ErrNotFound
	}
	if r, err = decode(arn, []byte(v.text)); err != nil {
		return nil, fmt.Errorf("get %s: %w", arn, err)
	}
	return r, nil
}

// values asks for all in one round trip.
func (m *queue) values(ctx context.Context, batch []*fill) ([]value, error) {
	m.mu.Lock()
	node := m.node
	m.mu.Unlock()
	keys := make([]string, len(batch))
	for i, f := range batch {
		keys[i] = m.db.Names.Execution(string(f.arn))
	}
	if _, alone := m.db.Readers.(*redis.Client); alone {
		return multiGet(ctx, node, keys)
	}
	return m.pipelinedGet(ctx, node, keys), nil
}

// multiGet costs Redis less than a pipeline, but all keys must be on one node.
func multiGet(ctx context.Context, node *redis.Client, keys []string) ([]value, error) {
	answers, err := node.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	values := make([]value, len(keys))
	for i, answer := range answers {
		values[i].text, values[i].found = answer.(string)
	}
	return values, nil
}

// pipelinedGet asks one node of a cluster. What has moved away meanwhile is asked
// for again, where it is now.
func (m *queue) pipelinedGet(ctx context.Context, node *redis.Client, keys []string) []value {
	pipe := node.Pipeline()
	cmds := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.Get(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	values := make([]value, len(keys))
	for i, cmd := range cmds {
		if redisdb.MovedAway(cmd.Err()) {
			cmd = m.db.Readers.Get(ctx, keys[i])
		}
		text, err := cmd.Result()
		switch {
		case err == nil:
			values[i] = value{text: text, found: true}
		case !errors.Is(err, redis.Nil):
			values[i].err = err
		}
	}
	return values
}
