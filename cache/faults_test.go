package cache

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// TestFlood: every observation five times, shuffled, through two caches
// at once.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	replicas := []*Cache{openIdle(t, s.URL()), openIdle(t, s.URL())}
	const executions, copies, batch = 200, 5, 10
	var flood []Execution
	want := map[ARN]joined{}
	for i := range executions {
		for _, e := range redriveHistory(testARN(t, fmt.Sprint("flood-", i))) {
			want[e.ARN] = join(want[e.ARN], observed(e))
			for range copies {
				flood = append(flood, e)
			}
		}
	}
	r := rand.New(rand.NewPCG(2, 2))
	r.Shuffle(len(flood), func(i, j int) { flood[i], flood[j] = flood[j], flood[i] })

	batches := make(chan []Execution)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for b := range batches {
				for _, o := range replicas[worker%2].Apply(t.Context(), b) {
					if o.Err != nil {
						t.Error(o.Err)
					}
				}
			}
		})
	}
	last := map[ARN]joined{}
	for i := 0; i < len(flood); i += batch {
		for _, e := range flood[i : i+batch] {
			last[e.ARN] = lastWriteWins(last[e.ARN], observed(e))
		}
		batches <- flood[i : i+batch]
	}
	close(batches)
	wg.Wait()

	wrongByLastWrite := 0
	for arn, state := range want {
		expectState(t, replicas[0], arn, state)
		if last[arn] != state {
			wrongByLastWrite++
		}
	}
	if wrongByLastWrite < executions/2 {
		t.Errorf("last write wins would be wrong in %d of %d only", wrongByLastWrite, executions)
	}
}

// confirmedUntil applies new executions from several goroutines until Redis fails
// them, and returns those that were confirmed. begun is called once some are.
func confirmedUntil(t *testing.T, c *Cache, begun func()) []ARN {
	t.Helper()
	const enough = 200
	var mu sync.Mutex
	var confirmed []ARN
	var once sync.Once
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				arn := testARN(t, fmt.Sprintf("confirmed-%d-%d", worker, i))
				if o := c.Apply(t.Context(), []Execution{succeeded(arn, now(), `{}`)})[0]; !o.Final() {
					return
				}
				mu.Lock()
				confirmed = append(confirmed, arn)
				n := len(confirmed)
				mu.Unlock()
				if n == enough {
					once.Do(begun)
				}
			}
		})
	}
	wg.Wait()
	return confirmed
}

// lost counts the executions of which there is no record.
func lost(t *testing.T, c *Cache, all []ARN) (n int) {
	t.Helper()
	for _, arn := range all {
		if stored(t, c, arn) == nil {
			n++
		}
	}
	return n
}

// TestRestartLosesNothingConfirmed: what was confirmed outlives a restart. The control has no append-only file.
func TestRestartLosesNothingConfirmed(t *testing.T) {
	t.Parallel()
	for appendOnly, safe := range map[string]bool{"yes": true, "no": false} {
		t.Run("appendonly "+appendOnly, func(t *testing.T) {
			t.Parallel()
			s := cachetest.Redis(t, "--appendonly", appendOnly)
			c := openIdle(t, s.URL())
			confirmed := confirmedUntil(t, c, s.Kill)
			s.Start()
			if n := lost(t, c, confirmed); safe != (n == 0) {
				t.Errorf("%d of %d are lost", n, len(confirmed))
			}
		})
	}
}

// attempts are the ways to write, of an execution.
func attempts(t *testing.T, c *Cache, e Execution) map[string]func() error {
	return map[string]func() error{
		"apply": func() error { return c.Apply(t.Context(), []Execution{e})[0].Err },
		"ping":  func() error { return c.Ping(t.Context()) },
		"check": func() error { return c.db.Check(t.Context()) },
		"register": func() error {
			_, err := c.Register(t.Context(), Registration{ARN: e.ARN, Owner: "ada"})
			return err
		},
	}
}

// TestWritesEndInTime has Redis fall silent: a write returns in time.
func TestWritesEndInTime(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		var n cachetest.Network
		c, e := openBubble(t, b, &n), running(testARN(t, "silent"), now())
		apply(t, c, e)
		n.Begin(cachetest.Silent)
		for what, try := range attempts(t, c, e) {
			if took := cachetest.Took(func() {
				if err := try(); err == nil {
					t.Errorf("%s succeeds although Redis is silent", what)
				}
			}); took > c.db.Limits.Batch {
				t.Errorf("%s took %v", what, took)
			}
		}
		n.End()
		for what, try := range attempts(t, c, e) {
			if err := try(); err != nil {
				t.Errorf("then %s: %v", what, err)
			}
		}
	})
}

// TestFrozenRedis: a write returns an error in time, and later writes succeed soon.
func TestFrozenRedis(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openIdle(t, s.URL(), func(o *Options) { o.WriteLimit = redisdb.DefaultWriteLimit })
	e := running(testARN(t, "frozen"), now())
	apply(t, c, e)
	e.RedriveCount = 1
	s.Freeze()
	for what, try := range attempts(t, c, e) {
		if err := try(); err == nil {
			t.Errorf("%s succeeds although Redis is frozen", what)
		}
	}
	s.Thaw()
	cachetest.Eventually(t, "writes are confirmed again", func() bool {
		return c.Ping(t.Context()) == nil && c.Apply(t.Context(), []Execution{e})[0].Final()
	})
	if r := stored(t, c, e.ARN); r.Version != e.Version() {
		t.Errorf("version %s, want %s", r.Version, e.Version())
	}
}

// TestALostReply: the script ran, but the connection broke before its
// answer came.
func TestALostReply(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	var n cachetest.Network
	c, other := openIdle(t, s.URL(), through(&n)), openIdle(t, s.URL())
	arn, start := testARN(t, "reply"), now()
	apply(t, c, running(arn, start)) // loads the script
	n.Begin(cachetest.DropOne(string(arn)))
	e := succeeded(arn, start, `{}`)
	e.Owner = "ada"
	published := s.Calls("publish")
	if o := c.Apply(t.Context(), []Execution{e})[0]; o.Verdict != Unconfirmed {
		t.Errorf("without an answer: %s", o.Verdict)
	}
	before := stored(t, other, arn)
	if before.Status != Succeeded {
		t.Fatalf("%s: the script did not run, so nothing was shown", before.Status)
	}
	if got := apply(t, c, e); got[0] != Superseded {
		t.Errorf("again: %s", got[0])
	}
	after := stored(t, other, arn)
	if after.Plain.ETag[0] != before.Plain.ETag[0] || !after.ObservedAt.Equal(before.ObservedAt) || after.Owner != "ada" {
		t.Errorf("the second time changed %+v to %+v", before, after)
	}
	if n := s.Calls("publish") - published; n != 1 {
		t.Errorf("announced %d times, want once", n)
	}
	index := c.db.Names.Owner("ada")
	if members, err := c.db.Readers.ZRange(t.Context(), index, 0, -1).Result(); err != nil || len(members) != 1 {
		t.Errorf("the owner's index holds %v, %v", members, err)
	}
}

// TestScriptsThatVanish: SCRIPT FLUSH before every write, as if replicas
// without the script were promoted, and again and again while others write. Whatever
// the script is gone for, no write has to come a second time.
func TestScriptsThatVanish(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c, flusher := openIdle(t, s.URL()), openIdle(t, s.URL())
	const writers, each = 4, 100
	var wg sync.WaitGroup
	all := make([][]ARN, writers)
	for worker := range all {
		wg.Go(func() {
			for i := range each {
				if worker == 0 {
					if err := flusher.db.Writers.ScriptFlush(t.Context()).Err(); err != nil {
						t.Error(err)
					}
				}
				arn := testARN(t, fmt.Sprintf("script-%d-%d", worker, i))
				all[worker] = append(all[worker], arn)
				if o := c.Apply(t.Context(), []Execution{succeeded(arn, now(), `{}`)})[0]; !o.Final() {
					t.Errorf("%s: %v", arn, o.Err)
				}
			}
		})
	}
	wg.Wait()
	for _, some := range all {
		if n := lost(t, c, some); n > 0 {
			t.Errorf("%d of %d are lost", n, len(some))
		}
	}
	c.formats.Fix(true) // which takes a script of its own now and then
	before := s.Calls("eval")
	for i := range each { // nobody else loads it
		if err := flusher.db.Writers.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		apply(t, c, succeeded(testARN(t, fmt.Sprint("script-alone-", i)), now(), `{}`))
	}
	if texts := s.Calls("eval") - before; texts != each {
		t.Errorf("the script was gone %d times, want %d", texts, each)
	}
}

// TestAScriptThatFailsForOne leaves the others of its batch alone: a key of the
// wrong type stands for whatever may go wrong with one record.
func TestAScriptThatFailsForOne(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	bad, good := testARN(t, "bad"), testARN(t, "good")
	if err := c.db.Writers.LPush(t.Context(), c.db.Names.Execution(string(bad)), "x").Err(); err != nil {
		t.Fatal(err)
	}
	outcomes := c.Apply(t.Context(), []Execution{running(good, now()), running(bad, now()), succeeded(good, now(), `{}`)})
	for i, want := range []Verdict{Applied, Unconfirmed, Applied} {
		if outcomes[i].Verdict != want {
			t.Errorf("observation %d: %s, %v; want %s", i, outcomes[i].Verdict, outcomes[i].Err, want)
		}
	}
	if err := outcomes[1].Err; err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("the reason is %v", err)
	}
	if r := stored(t, c, good); r.Status != Succeeded {
		t.Errorf("the other one is %s", r.Status)
	}
}
