package worklist

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

const (
	beatEvery = time.Second
	// beatsKept is how many beats Redis may go back without counting as a loss, because a
	// replica that takes over may be a moment behind.
	beatsKept = 5
)

// LossDetector detects when a Redis has lost its records: it was emptied, restarted
// without its files, or filled with an old copy. Each process increments a number in
// Redis and remembers it. If the number is gone, or smaller than five seconds ago, Redis
// has lost records.
//
// A loss is stored in Redis, for all processes, until everything is restored, or an
// operator dismisses it (loss.go).
type LossDetector struct {
	db      *redisdb.DB
	options LossOptions
	losses  prometheus.Counter
	parts   *prometheus.GaugeVec

	seen [redisdb.PartitionCount][]beat // the latest, the newest last
	keys keyCount
	lost atomic.Pointer[Loss]

	unstored string // why records were lost, until that is stored; otherwise empty
}

// LossOptions configure what a LossDetector does when it detects a loss. They are needed by
// Run only.
type LossOptions struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none
	// Noticed is called when this process has detected a loss and stored it; nil: nothing is
	// called.
	Noticed func(context.Context) error
}

// beat is what a partition answered once.
type beat struct {
	id    string
	count int64
}

// NewLossDetector returns a detector of losses of a Redis.
func NewLossDetector(db *redisdb.DB, o LossOptions) *LossDetector {
	d := &LossDetector{db: db, options: o, losses: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "redis_losses_total", Help: "How often Redis was found empty, or in an older state than before.",
	})}
	if o.Metrics != nil {
		o.Metrics.MustRegister(d.losses)
	}
	d.parts = gauge(o.Metrics, "lost", "1 while records of this part are lost and neither restored nor dismissed, else 0.", "part")
	return d
}

// Run looks for losses until ctx ends.
func (d *LossDetector) Run(ctx context.Context) error {
	return monotonic.Every(ctx, beatEvery, func() {
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			d.options.Log.Debug("cannot check whether records were lost", "error", err)
		}
	})
}

// look increments the number in a partition of every primary and checks for losses. A
// number that replicas did not confirm proves nothing, because it may be lost together
// with a primary that was cut off.
func (d *LossDetector) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit(d.db))
	defer cancel()
	partitions := d.db.Names.Partitions[:]
	if !d.db.Cluster() {
		partitions = partitions[:1]
	}
	beats, err := d.beats(ctx, partitions)
	if err != nil {
		return err
	}
	commands := make([]*redisdb.Command, 0, len(beats))
	for _, command := range beats {
		commands = append(commands, command)
	}
	d.db.Confirm(ctx, commands...)
	var errs []error
	for i, command := range beats {
		now, err := readBeat(command)
		if err != nil {
			errs = append(errs, err)
		} else if why := d.lossOf(i, now); why != "" {
			d.noticed(why)
		}
	}
	return errors.Join(append(errs, d.store(ctx), d.refresh(ctx))...)
}

// beats returns a beat for a partition of every primary, by its number.
func (d *LossDetector) beats(ctx context.Context, partitions []redisdb.Partition) (map[int]*redisdb.Command, error) {
	beats, seen, id := map[int]*redisdb.Command{}, map[redisdb.Client]bool{}, rand.Text()
	for i := range partitions {
		node, err := d.db.PrimaryOf(ctx, partitions[i].Born)
		if err != nil {
			return nil, err
		}
		if !seen[node] {
			seen[node] = true
			beats[i] = redisdb.NewScript(beatScript, []string{partitions[i].Born}, id)
		}
	}
	return beats, nil
}

func readBeat(command *redisdb.Command) (beat, error) {
	if command.Err != nil {
		return beat{}, command.Err
	}
	answer, err := command.Answer.Slice()
	if err != nil {
		return beat{}, err
	}
	if len(answer) == 2 {
		id, ok1 := answer[0].(string)
		count, ok2 := answer[1].(int64)
		if ok1 && ok2 {
			return beat{id, count}, nil
		}
	}
	return beat{}, redisdb.ErrAnswer
}

// lossOf returns why the records of a partition are lost, or "" if they are not.
func (d *LossDetector) lossOf(partition int, now beat) (why string) {
	seen := d.seen[partition]
	if len(seen) > 0 {
		switch oldest := seen[0]; {
		case now.id != oldest.id:
			why = "Redis was emptied"
		case now.count < oldest.count:
			why = "Redis went back to an older state"
		}
	}
	if why != "" {
		seen = nil
	}
	seen = append(seen, now)
	d.seen[partition] = slices.Clone(seen[max(0, len(seen)-beatsKept):])
	return why
}

// noticed handles a loss in this process.
func (d *LossDetector) noticed(why string) {
	d.losses.Inc()
	d.options.Log.Error("Redis has lost records; /v1/health and statusctl doctor say which are restored automatically, and how to restore the others", "why", why)
	d.unstored = why
	d.lost.CompareAndSwap(nil, &Loss{At: time.Now(), Why: why, Running: true, Results: true})
	d.db.Feed.Reset() // the near cache may have the only copy, and contradict the answers of other processes
}

// store stores a loss for all processes, and otherwise counts the API keys. If that
// fails, it is tried again.
func (d *LossDetector) store(ctx context.Context) error {
	now, err := d.countKeys(ctx)
	if err != nil {
		return err
	}
	if d.unstored == "" {
		d.keys = now
		return nil
	}
	before := ""
	switch {
	case now.known < d.keys.known:
		before = fmt.Sprint(d.keys.known)
	case now.changes < d.keys.changes:
		before = "0"
	}
	_ = d.db.Writers.Del(ctx, d.db.Names.Sweeps).Err() // all sweeps are due at once; otherwise they are due soon
	if err := lossScript.Run(ctx, d.db.Writers, []string{d.db.Names.Lost}, d.unstored, before).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("store that records were lost: %w", err)
	}
	d.unstored = ""
	if d.options.Noticed == nil {
		return nil
	}
	return d.options.Noticed(ctx)
}

// refresh reads the loss that is stored for all processes.
func (d *LossDetector) refresh(ctx context.Context) error {
	loss, err := d.LossNow(ctx)
	if err == nil && loss != nil && loss.keysBefore > 0 && loss.Missing == 0 { // other keys in their place count, too
		err = d.end(ctx, loss, partKeys)
	}
	if err == nil && (loss != nil || d.unstored == "") {
		d.lost.Store(loss)
		d.measure(loss)
	}
	return err
}

// measure sets the metric of the lost parts; nil: none.
func (d *LossDetector) measure(loss *Loss) {
	if loss == nil {
		loss = &Loss{}
	}
	for part, lost := range map[string]bool{partRunning: loss.Running, partResults: loss.Results, partKeys: loss.Keys} {
		value := 0.0
		if lost {
			value = 1
		}
		d.parts.WithLabelValues(part).Set(value)
	}
}
