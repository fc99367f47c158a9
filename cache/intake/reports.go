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
	// Measure reads the depth of the queues from SQS. Reports sets At.
	Measure(ctx context.Context) (*Queue, error)
	// Ages returns nil before the first event.
	Ages() *Ages
	// Repairs returns how many executions the audit of the process has repaired, by the ARN of
	// a state machine.
	Repairs() map[string]int64
}

// Reports has the reports of all processes that receive events.
type Reports struct {
	db      *redisdb.DB
	source  Source
	process string // name of this process
	queue   *Queue // last measurement of this process
	now     atomic.Pointer[summary]
}

// Open returns the reports in a Redis. source has the reports of this process, nil for a
// process that receives no events. Run reads and writes them.
func Open(db *redisdb.DB, source Source) *Reports {
	r := &Reports{db: db, source: source, process: rand.Text()}
	r.now.Store(&summary{})
	return r
}

// Queue returns the latest report about the queue, nil if there is none.
func (r *Reports) Queue() *Queue { return r.now.Load().queue }

// Ages returns the ages of the latest events when they were applied, by the slowest
// process; nil if no process has applied any.
func (r *Reports) Ages() *Ages { return r.now.Load().ages }

// Repairs returns how many executions the audits of all processes have repaired since
// each process started, by the ARN of a state machine. The map must not be changed.
func (r *Reports) Repairs() map[string]int64 { return r.now.Load().repairs }

// Run reports and reads the reports of others until ctx ends. While Redis does not answer,
// the last reports stay valid.
func (r *Reports) Run(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		_ = r.turn(ctx) // other code reports outages of Redis; the next turn is soon
		select {
		case <-ctx.Done():
			return r.leave(context.WithoutCancel(ctx))
		case <-tick.C:
		}
	}
}

// turn reads the reports and adds the report of this process.
func (r *Reports) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(reportEvery, r.db.Limits.Write))
	defer cancel()
	reports, now, err := r.read(ctx)
	if err != nil {
		return err
	}
	if r.source != nil {
		delete(reports, r.process)
		own := r.report(ctx, reports, now)
		if err := r.write(ctx, own); err != nil {
			return err
		}
		reports[r.process] = own
	}
	all := make([]Report, 0, len(reports))
	for _, one := range reports {
		all = append(all, one)
	}
	s := summarize(all)
	r.now.Store(&s)
	return nil
}

// read returns the reports of the processes that still report, by process, and the time.
// It deletes the reports of other processes.
func (r *Reports) read(ctx context.Context) (map[string]Report, time.Time, error) {
	pipe := r.db.Writers.Pipeline()
	texts, clock := pipe.HGetAll(ctx, r.db.Names.Intake), pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, time.Time{}, fmt.Errorf("read the reports about the queue: %w", err)
	}
	reports := map[string]Report{}
	var silent []string
	for process, text := range texts.Val() {
		var one Report
		if json.Unmarshal([]byte(text), &one) != nil || clock.Val().Sub(one.At) > silentAfter {
			silent = append(silent, process)
			continue
		}
		reports[process] = one
	}
	if len(silent) > 0 {
		if err := r.db.Writers.HDel(ctx, r.db.Names.Intake, silent...).Err(); err != nil {
			return nil, time.Time{}, fmt.Errorf("delete old reports about the queue: %w", err)
		}
	}
	return reports, clock.Val(), nil
}

// report makes the report of this process. When the last measurement of the queue is old,
// the first process to notice it measures again.
func (r *Reports) report(ctx context.Context, others map[string]Report, now time.Time) Report {
	last := r.queue
	for _, one := range others {
		if one.Queue != nil && (last == nil || one.Queue.At.After(last.At)) {
			last = one.Queue
		}
	}
	if last == nil || now.Sub(last.At) >= measureEvery {
		if measured, err := r.source.Measure(ctx); err == nil { // otherwise the consumer reports what is wrong with the queue
			measured.At = now
			r.queue = measured
		}
	}
	if r.queue != nil && now.Sub(r.queue.At) > 2*measureEvery {
		r.queue = nil // an old measurement is not reported as a current one
	}
	return Report{At: now, Queue: r.queue, Ages: r.source.Ages(), Repair: r.source.Repairs()}
}

func (r *Reports) write(ctx context.Context, own Report) error {
	text, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("report about the queue: %w", err)
	}
	_, err = r.db.Writers.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, r.db.Names.Intake, r.process, text)
		pipe.Expire(ctx, r.db.Names.Intake, 2*silentAfter)
		return nil
	})
	if err != nil {
		return fmt.Errorf("report about the queue: %w", err)
	}
	return nil
}

// leave removes the report of a process that stops.
func (r *Reports) leave(ctx context.Context) error {
	if r.source == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = r.db.Writers.HDel(ctx, r.db.Names.Intake, r.process).Err() // after a minute it is ignored anyway
	return nil
}
