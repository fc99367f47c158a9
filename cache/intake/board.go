package intake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

const (
	reportEvery = 5 * time.Second
	// silentAfter is how long after its last report a process counts as ended.
	silentAfter = time.Minute
	// measureEvery is how often one of the processes reads the depth of the queues from
	// SQS: two requests each time, which cost 4 cents a month.
	measureEvery = time.Minute
)

// Source is a process that receives events.
type Source interface {
	// Measure reads the depth of the queues from SQS. The Board sets At.
	Measure(ctx context.Context) (*Queue, error)
	// Ages returns nil before the first event.
	Ages() *Ages
	// Repairs returns how many executions the audit of the process has repaired, by the ARN of
	// a state machine.
	Repairs() map[string]int64
}

// Board has the reports of all processes that receive events.
type Board struct {
	db      *redisdb.DB
	source  Source
	process string // name of this process
	queue   *Queue // last measurement of this process
	now     atomic.Pointer[summary]
}

// Open returns the board in a Redis. source has the reports of this process, nil for a
// process that receives no events. Run reads and writes the board.
func Open(db *redisdb.DB, source Source) *Board {
	b := &Board{db: db, source: source, process: rand.Text()}
	b.now.Store(&summary{})
	return b
}

// Queue returns the latest report about the queue, nil if there is none.
func (b *Board) Queue() *Queue { return b.now.Load().queue }

// Ages returns the ages of the latest events when they were applied, by the slowest
// process; nil if no process has applied any.
func (b *Board) Ages() *Ages { return b.now.Load().ages }

// Repairs returns how many executions the audits of all processes have repaired since
// each process started, by the ARN of a state machine. The map must not be changed.
func (b *Board) Repairs() map[string]int64 { return b.now.Load().repairs }

// Run reports and reads the reports of others until ctx ends. While Redis does not answer,
// the last reports stay valid.
func (b *Board) Run(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		_ = b.turn(ctx) // other code reports outages of Redis; the next turn is soon
		select {
		case <-ctx.Done():
			return b.leave(context.WithoutCancel(ctx))
		case <-tick.C:
		}
	}
}

// turn reads the board and adds the report of this process.
func (b *Board) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(reportEvery, b.db.Limits.Write))
	defer cancel()
	reports, now, err := b.read(ctx)
	if err != nil {
		return err
	}
	if b.source != nil {
		delete(reports, b.process)
		own := b.report(ctx, reports, now)
		if err := b.write(ctx, own); err != nil {
			return err
		}
		reports[b.process] = own
	}
	all := make([]Report, 0, len(reports))
	for _, r := range reports {
		all = append(all, r)
	}
	s := summarize(all)
	b.now.Store(&s)
	return nil
}

// read returns the reports of the processes that still report, by process, and the time.
// It deletes the reports of other processes.
func (b *Board) read(ctx context.Context) (map[string]Report, time.Time, error) {
	pipe := b.db.Writers.Pipeline()
	texts, clock := pipe.HGetAll(ctx, b.db.Names.Intake), pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, time.Time{}, fmt.Errorf("read the reports about the queue: %w", err)
	}
	reports := map[string]Report{}
	var silent []string
	for process, text := range texts.Val() {
		var r Report
		if json.Unmarshal([]byte(text), &r) != nil || clock.Val().Sub(r.At) > silentAfter {
			silent = append(silent, process)
			continue
		}
		reports[process] = r
	}
	if len(silent) > 0 {
		if err := b.db.Writers.HDel(ctx, b.db.Names.Intake, silent...).Err(); err != nil {
			return nil, time.Time{}, fmt.Errorf("delete old reports about the queue: %w", err)
		}
	}
	return reports, clock.Val(), nil
}

// report makes the report of this process. When the last measurement of the queue is old,
// the first process to notice it measures again.
func (b *Board) report(ctx context.Context, others map[string]Report, now time.Time) Report {
	last := b.queue
	for _, r := range others {
		if r.Queue != nil && (last == nil || r.Queue.At.After(last.At)) {
			last = r.Queue
		}
	}
	if last == nil || now.Sub(last.At) >= measureEvery {
		if measured, err := b.source.Measure(ctx); err == nil { // otherwise the consumer reports what is wrong with the queue
			measured.At = now
			b.queue = measured
		}
	}
	if b.queue != nil && now.Sub(b.queue.At) > 2*measureEvery {
		b.queue = nil // an old measurement is not reported as a current one
	}
	return Report{At: now, Queue: b.queue, Ages: b.source.Ages(), Repair: b.source.Repairs()}
}

func (b *Board) write(ctx context.Context, own Report) error {
	text, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("report about the queue: %w", err)
	}
	_, err = b.db.Writers.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, b.db.Names.Intake, b.process, text)
		pipe.Expire(ctx, b.db.Names.Intake, 2*silentAfter)
		return nil
	})
	if err != nil {
		return fmt.Errorf("report about the queue: %w", err)
	}
	return nil
}

// leave removes the report of a process that stops.
func (b *Board) leave(ctx context.Context) error {
	if b.source == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = b.db.Writers.HDel(ctx, b.db.Names.Intake, b.process).Err() // after a minute it is ignored anyway
	return nil
}
