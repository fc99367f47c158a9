package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
)

// redriveHistory is what happens to an execution that is redriven twice, with
// one duplicate.
func redriveHistory(arn ARN) []Execution {
	start := now()
	attempt := func(e Execution, n int) Execution {
		e.RedriveCount, e.Owner = n, "ada"
		return e
	}
	pending := running(arn, start)
	pending.Status = PendingRedrive
	return []Execution{
		attempt(running(arn, start), 0),
		attempt(failed(arn, start, "Boom: first"), 0),
		attempt(pending, 0),
		attempt(running(arn, start), 1),
		attempt(failed(arn, start, "Boom: second"), 1),
		attempt(running(arn, start), 2),
		attempt(succeeded(arn, start, `{"third":true}`), 2),
		attempt(failed(arn, start, "Boom: first"), 0),
	}
}

func TestEveryOrderEndsInOneState(t *testing.T) {
	t.Parallel()
	var history []joined
	for _, e := range redriveHistory(testARN(t, "redriven")) {
		history = append(history, observed(e))
	}
	count := func(rule func(a, b joined) joined) (ends map[joined]int, all int) {
		ends = map[joined]int{}
		orders(len(history), func(order []int) {
			states := make([]joined, len(order))
			for i, k := range order {
				states[i] = history[k]
			}
			ends[fold(rule, states)]++
			all++
		})
		return ends, all
	}
	if ends, all := count(join); all != 40_320 || len(ends) != 1 || ends[history[6]] != all {
		t.Errorf("%d orders ended in %d states, want 40320 in the success of the third attempt", all, len(ends))
	}
	if ends, _ := count(lastWriteWins); len(ends) < 2 {
		t.Error("the check cannot tell a join from last write wins")
	}
}

// TestEveryOrderInRedis applies some of the orders to the real script, each to an
// execution of its own: all of them take minutes under the race detector. The
// places change with the order's number, so each observation comes first, last
// and anywhere between.
func TestEveryOrderInRedis(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	const chunk = 400
	oneIn := 40_320 / cachetest.Rounds(630, 5040)
	places := map[[2]int]bool{} // of an observation in an order
	var executions [][]Execution
	flush := func() {
		applyInStep(t, c, executions)
		for _, history := range executions {
			want := history[slices.IndexFunc(history, func(e Execution) bool { return e.Status == Succeeded })]
			expectState(t, c, want.ARN, observed(want))
		}
		executions = executions[:0]
	}
	number := 0
	orders(8, func(order []int) {
		if number++; number%oneIn != number/oneIn%oneIn {
			return
		}
		history := redriveHistory(testARN(t, fmt.Sprint("order-", number)))
		inOrder := make([]Execution, len(order))
		for i, k := range order {
			inOrder[i] = history[k]
			places[[2]int{k, i}] = true
		}
		executions = append(executions, inOrder)
		if len(executions) == chunk {
			flush()
		}
	})
	flush()
	if len(places) != 8*8 {
		t.Errorf("only %d of 64 places of observations", len(places))
	}
	if n := runningIndexed(t, c); n != 0 {
		t.Errorf("%d stopped executions are still among the running", n)
	}
}

// applyInStep applies the first of every history in one batch, then the second,
// and so on.
func applyInStep(t *testing.T, c *Cache, histories [][]Execution) {
	t.Helper()
	for step := range 8 {
		var batch []Execution
		for _, history := range histories {
			batch = append(batch, history[step])
		}
		for _, o := range c.Apply(t.Context(), batch) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
}

// expectState fails unless the record of arn is what the model says.
func expectState(t *testing.T, c *Cache, arn ARN, want joined) *Record {
	t.Helper()
	r := stored(t, c, arn)
	if r == nil {
		t.Fatalf("%s: no record", arn)
	}
	hash, _, _ := strings.Cut(strings.TrimPrefix(r.Plain.ETag[0], `"`+string(r.Version)+"-"), `"`)
	exact := r.head.Version()
	if exact == Unobserved {
		hash = strings.Repeat("0", hashLength) // a registration has no body of its own
	} else if body := bodyHash(r.Plain.Body, &Execution{Status: r.Status, Error: r.Error}); body != hash {
		t.Errorf("%s: body of another observation", arn)
	}
	if exact.Public() != r.Version {
		t.Errorf("%s: version %s is reported as %s", arn, exact, r.Version)
	}
	got := joined{identity: string(exact) + hash, owner: r.Owner, inputType: r.InputType, labels: string(r.labels)}
	want.epoch, want.ownerRank = 0, 0 // not reported to readers
	if got != want {
		t.Errorf("%s:\n got %+v\nwant %+v", arn, got, want)
	}
	return r
}

// runningIndexed counts the executions in the indexes of the running.
func runningIndexed(t *testing.T, c *Cache) (n int) {
	t.Helper()
	for _, p := range c.db.Names.Partitions {
		some, err := c.db.Readers.ZCard(t.Context(), p.Running).Result()
		if err != nil {
			t.Fatal(err)
		}
		n += int(some)
	}
	return n
}

func TestTheRuleIsAJoin(t *testing.T) {
	t.Parallel()
	var states []joined
	for _, o := range observations(testARN(t, "random"), now()) {
		states = append(states, o.state())
	}
	histories := cachetest.Rounds(10_000, 100_000)
	broken := func(rule func(a, b joined) joined) (n int, first string) {
		for seed := range uint64(histories) {
			r := rand.New(rand.NewPCG(seed, 1))
			var history []joined
			for _, k := range randomHistory(r, len(states)) {
				history = append(history, states[k])
			}
			if law := brokenLaw(rule, history, r); law != "" {
				if n++; n == 1 {
					first = fmt.Sprintf("not %s, seed %d: %+v", law, seed, history)
				}
			}
		}
		return n, first
	}
	if n, first := broken(join); n > 0 {
		t.Errorf("%d of %d histories: %s", n, histories, first)
	}
	if n, _ := broken(lastWriteWins); n < histories/2 {
		t.Errorf("the check refutes last write wins with %d of %d histories only", n, histories)
	}
}

func TestRandomHistoriesInRedis(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	const together = 100
	histories := cachetest.Rounds(400, 2_000)
	start, wrongRule, run := now(), 0, 0
	for first := uint64(0); first < uint64(histories); first += together {
		steps := make([][]*write, 14)
		want := map[ARN]joined{}
		for seed := first; seed < first+together; seed++ {
			arn := testARN(t, fmt.Sprint("random-", seed))
			all := observations(arn, start)
			var states []joined
			for step, k := range randomHistory(rand.New(rand.NewPCG(seed, 2)), len(all)) {
				states = append(states, all[k].state())
				steps[step] = append(steps[step], all[k].write(c))
			}
			want[arn] = fold(join, states)
			if fold(lastWriteWins, states) != want[arn] {
				wrongRule++
			}
		}
		for _, writes := range steps {
			writeAll(t, c, writes)
		}
		for arn, state := range want {
			r := expectState(t, c, arn, state)
			if strings.Contains(string(r.Plain.Body), `"status":"RUNNING"`) {
				run++
			}
		}
	}
	if n := runningIndexed(t, c); n != run {
		t.Errorf("%d executions are among the running, want %d", n, run)
	}
	if wrongRule < histories/2 {
		t.Errorf("last write wins comes to another state in %d of %d histories only", wrongRule, histories)
	}
}

func writeAll(t *testing.T, c *Cache, writes []*write) {
	t.Helper()
	c.write(t.Context(), writes)
	for _, w := range writes {
		if w.err != nil {
			t.Fatal(w.err)
		}
	}
}

// TestAWriteWithoutAChangeIsNotPublished: a message that comes back after
// its delete wakes nobody up.
func TestAWriteWithoutAChangeIsNotPublished(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	sub := c.db.Writers.(*redis.Client).Subscribe(t.Context(), c.db.Names.Channels()...)
	defer func() { _ = sub.Close() }()
	for range c.db.Names.Channels() {
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// announced returns what was published since it was last called.
	announced := func() (all []string) {
		const marker = "that is all"
		if err := c.db.Writers.Publish(t.Context(), c.db.Names.KeyChanges, marker).Err(); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := receiveMessage(t.Context(), sub)
			if err != nil {
				t.Fatal(err)
			}
			if m.Payload == marker {
				return all
			}
			all = append(all, m.Payload)
		}
	}
	history := redriveHistory(testARN(t, "announced"))
	apply(t, c, history...)
	if got, want := len(announced()), 6; got != want { // not the late PENDING_REDRIVE and the duplicate
		t.Errorf("%d of the history were announced, want %d", got, want)
	}
	for _, verdict := range apply(t, c, history...) {
		if verdict != Superseded {
			t.Errorf("again: %s", verdict)
		}
	}
	if all := announced(); len(all) > 0 {
		t.Errorf("announced again: %q", all)
	}
}

func receiveMessage(ctx context.Context, sub *redis.PubSub) (*redis.Message, error) {
	for {
		message, err := sub.Receive(ctx)
		if err != nil {
			return nil, err
		}
		if m, ok := message.(*redis.Message); ok && m.Payload != "" { // which announces nothing
			return m, nil
		}
	}
}
