package cache

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"statuscache/cache/cachetest"
)

// keepsOutputs has outputs kept for so long.
func keepsOutputs(life time.Duration) func(*Options) {
	return func(o *Options) { o.RetentionOutput = life }
}

// expiry returns the observation that the output of a stored success has expired.
func expiry(t testing.TB, c *Cache, arn ARN) Execution {
	t.Helper()
	b, err := c.db.Readers.Get(t.Context(), c.db.Names.Execution(string(arn))).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadStored(arn, b)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := s.OutputExpired()
	if !ok {
		t.Fatalf("%s has no output to expire", s.Exact)
	}
	return e
}

// refetched returns what fetching the output of a success again brings.
func refetched(e Execution, at time.Time) Execution {
	e.Completeness, e.OutputFrom, e.Source = OutputRefetched, at, FromDescribe
	return e
}

// indexedOutputs returns the index of outputs of a partition: ARN and since when each is kept.
func indexedOutputs(t testing.TB, c *Cache, arn ARN) map[string]float64 {
	t.Helper()
	entries, err := c.db.Writers.ZRangeWithScores(t.Context(), c.db.Names.Partition(string(arn)).Outputs, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, z := range entries {
		all[z.Member.(string)] = z.Score
	}
	return all
}

// TestAnExpiredOutputIsAStateOfItsOwn: the answer says that the output has expired, its
// version is later than that of the success, and the memory is free.
func TestAnExpiredOutputIsAStateOfItsOwn(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL(), keepsOutputs(24*time.Hour))
	noise := make([]byte, 360) // which cannot be compressed
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	e := succeeded(testARN(t, "expires"), now(), `{"metadata":{"a":1},"n":"`+base64.StdEncoding.EncodeToString(noise)+`"}`)
	e.Owner = "ada"
	apply(t, c, e)
	complete := stored(t, c, e.ARN)
	if got := indexedOutputs(t, c, e.ARN); len(got) != 1 || got[string(e.ARN)] != float64(e.StopDate.UnixMilli()) {
		t.Fatalf("the index of outputs is %v", got)
	}
	size := func() int64 {
		return c.db.Writers.StrLen(t.Context(), c.db.Names.Execution(string(e.ARN))).Val()
	}
	before := size()
	if got := apply(t, c, expiry(t, c, e.ARN)); got[0] != Applied {
		t.Fatalf("expiry: %s", got[0])
	}
	r := stored(t, c, e.ARN)
	want := `"output":null,"outputExpired":true}}`
	if !bytes.HasSuffix(r.Plain.Body, []byte(want)) || !r.OutputExpired() || r.OutputGone() || r.PublicStatus() != Succeeded {
		t.Errorf("answered with %s", r.Plain.Body)
	}
	if r.Version <= complete.Version || r.Plain.ETag[0] == complete.Plain.ETag[0] {
		t.Errorf("version %s after %s, %s", r.Version, complete.Version, r.Plain.ETag[0])
	}
	if v, ok := ParseVersion(strings.Trim(r.Plain.ETag[0], `"`)); !ok || v != r.Version {
		t.Errorf("the version in the entity tag %s is %s, want %s", r.Plain.ETag[0], v, r.Version)
	}
	if r.Owner != "ada" || r.Source != complete.Source || !r.ObservedAt.Equal(complete.ObservedAt) || bytes.Contains(r.Summary(), []byte("metadata")) {
		t.Errorf("owner %q, source %s, observed at %v, %s", r.Owner, r.Source, r.ObservedAt, r.Summary())
	}
	if after := size(); after > before-400 {
		t.Errorf("the record has %d bytes, had %d", after, before)
	}
	if got := indexedOutputs(t, c, e.ARN); len(got) != 0 {
		t.Errorf("the index of outputs is %v", got)
	}
}

// TestALateEventDoesNotBringAnOutputBack: neither does a replay, nor does the state flap.
func TestALateEventDoesNotBringAnOutputBack(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL(), keepsOutputs(time.Hour))
	e := succeeded(testARN(t, "late"), now(), `{"n":1}`)
	apply(t, c, e)
	apply(t, c, expiry(t, c, e.ARN))
	expired := stored(t, c, e.ARN)
	replay := e
	replay.Source = FromReplay
	if got := apply(t, c, e, replay); got[0] != Superseded || got[1] != Superseded {
		t.Errorf("late events: %v", got)
	}
	if r := stored(t, c, e.ARN); r.Plain.ETag[0] != expired.Plain.ETag[0] {
		t.Errorf("after late events it is %s", r.Plain.Body)
	}
}

// TestAFetchedOutputIsComplete: what is fetched again is there byte for byte, expires again, and
// may be found to be gone.
func TestAFetchedOutputIsComplete(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL(), keepsOutputs(time.Hour))
	e := succeeded(testARN(t, "again"), now(), `{ "n" : 9007199254740993 , "n":1.0e10}`)
	apply(t, c, e)
	complete := stored(t, c, e.ARN)
	var before *Record
	for i := range 12 {
		apply(t, c, expiry(t, c, e.ARN))
		before = stored(t, c, e.ARN)
		at := now().Add(time.Duration(i+1) * time.Hour)
		if got := apply(t, c, refetched(e, at)); got[0] != Applied {
			t.Fatalf("fetched for the %d. time: %s", i+1, got[0])
		}
		r := stored(t, c, e.ARN)
		if !bytes.Equal(r.Plain.Body, complete.Plain.Body) || r.OutputExpired() || r.Version <= before.Version {
			t.Fatalf("fetched for the %d. time: %s, %s after %s", i+1, r.Plain.Body, r.Version, before.Version)
		}
		if got := indexedOutputs(t, c, e.ARN)[string(e.ARN)]; got != float64(at.Truncate(time.Second).UnixMilli()) {
			t.Fatalf("the index says since %v, want %v", got, at)
		}
	}
	gone := refetched(e, now().Add(13*time.Hour))
	gone.Completeness = OutputGone
	apply(t, c, gone)
	if r := stored(t, c, e.ARN); !r.OutputGone() || !r.OutputExpired() || !bytes.HasSuffix(r.Plain.Body, []byte(`"output":null,"outputExpired":true,"outputGone":true}}`)) {
		t.Errorf("gone: %s", r.Plain.Body)
	}
}

// TestAnOutputForARecordThatIsGoneIsDropped: what became of an output makes no execution known that was
// erased or has expired.
func TestAnOutputForARecordThatIsGoneIsDropped(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL(), keepsOutputs(time.Hour))
	e := succeeded(testARN(t, "erased"), now(), `{}`)
	apply(t, c, e)
	gone := expiry(t, c, e.ARN)
	if _, err := c.Forget(t.Context(), e.ARN, e.Version()); err != nil {
		t.Fatal(err)
	}
	if got := indexedOutputs(t, c, e.ARN); len(got) != 0 {
		t.Errorf("the index of outputs is %v", got)
	}
	if got := apply(t, c, gone, refetched(e, now())); got[0] != Expired || got[1] != Expired {
		t.Errorf("%v", got)
	}
	if r := stored(t, c, e.ARN); r != nil {
		t.Errorf("there is a record: %s", r.Plain.Body)
	}
}

// TestNoIndexWithoutTheSetting: where outputs are kept as long as their records, there is no
// entry for them.
func TestNoIndexWithoutTheSetting(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	e := succeeded(testARN(t, "kept"), now(), `{}`)
	apply(t, c, e, e)
	if got := indexedOutputs(t, c, e.ARN); len(got) != 0 {
		t.Errorf("the index of outputs is %v", got)
	}
}

// TestAReaderDoesNotSeeAnOutputPastItsTime: neither from Redis nor from the near cache, and
// what it sees is what will be stored.
func TestAReaderDoesNotSeeAnOutputPastItsTime(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		c := openBubble(t, b, new(cachetest.Network))
		c.options.RetentionOutput, c.near.outputLife = 20*time.Second, 20*time.Second
		runTest(t, c)
		e := succeeded(testARN(t, "read"), now().Add(-time.Second), `{"n":1}`)
		apply(t, c, e)
		for until := e.StopDate.Add(20 * time.Second); time.Now().Before(until); cachetest.Pass(100 * time.Millisecond) {
			if r, err := c.Get(t.Context(), e.ARN); err != nil || r.OutputExpired() {
				t.Fatalf("%v before its time: %v, %v", time.Until(until), r, err)
			}
		}
		r, err := c.Get(t.Context(), e.ARN)
		if err != nil || !r.OutputExpired() {
			t.Fatalf("at its time: %s, %v", r.Plain.Body, err)
		}
		many := c.GetMany(t.Context(), []ARN{e.ARN})
		if many[0].Err != nil || many[0].Record.Version != r.Version {
			t.Errorf("in a batch: %v, %v", many[0].Record, many[0].Err)
		}
		apply(t, c, expiry(t, c, e.ARN))
		after := stored(t, c, e.ARN)
		if after.Plain.ETag[0] != r.Plain.ETag[0] || !bytes.Equal(after.Plain.Body, r.Plain.Body) || after.Version != r.Version {
			t.Errorf("stored is %s, %s, and read was %s, %s", after.Plain.ETag[0], after.Plain.Body, r.Plain.ETag[0], r.Plain.Body)
		}
		if full := after.Full(time.Time{}); full.ETag[0] != r.Full(time.Time{}).ETag[0] {
			t.Errorf("the full view is %s, read was %s", full.Body, r.Full(time.Time{}).Body)
		}
	})
}

// TestOutputsJoinInEveryOrder: events, expiries, fetches and duplicates of all of them end in
// the same record, in any order, once the execution is known.
func TestOutputsJoinInEveryOrder(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL(), keepsOutputs(time.Hour))
	start, n := now(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		base := succeeded(testARN(t, "order"), start, `{"n":1}`)
		awaited, givenUp, replay := base, base, base
		awaited.Completeness, awaited.Output = OutputAwaited, nil
		givenUp.Completeness, givenUp.Output = OutputGivenUp, nil
		replay.Source = FromReplay
		steps := []Execution{running(base.ARN, start), awaited, givenUp, base, replay}
		from := base.StopDate
		for range rapid.IntRange(0, 3).Draw(rt, "fetches") {
			expired, gone := refetched(base, from), refetched(base, from)
			expired.Completeness, gone.Completeness = OutputExpired, OutputGone
			from = from.Add(time.Duration(rapid.IntRange(1, 5).Draw(rt, "hours")) * time.Hour)
			steps = append(steps, expired, refetched(base, from))
			if rapid.Bool().Draw(rt, "gone") {
				steps = append(steps, gone)
			}
		}
		steps = rapid.SliceOfN(rapid.SampledFrom(steps), 1, 8).Draw(rt, "steps")
		states := []joined{observed(base)}
		for _, e := range steps {
			states = append(states, observed(e))
		}
		r := rand.New(rand.NewPCG(uint64(n), 1))
		if law := brokenLaw(join, states, r); law != "" {
			rt.Fatalf("the rule is not %s", law)
		}
		want := fold(join, states).identity
		for range 2 {
			r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			known := slices.Concat([]Execution{base}, steps)
			c.db.Writers.Del(t.Context(), c.db.Names.Execution(string(base.ARN)))
			apply(t, c, known...)
			head := recordHead(c.db.Writers.Get(t.Context(), c.db.Names.Execution(string(base.ARN))).Val())
			if got := string(head.Version()) + head.Hash(); got != want {
				rt.Fatalf("the record is %s, want %s", got, want)
			}
		}
	})
}

// TestFailuresHaveARetentionOfTheirOwn: they expire sooner than successes, and a late event
// of them is too late.
func TestFailuresHaveARetentionOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL(), func(o *Options) { o.RetentionFailed = time.Hour })
	life := func(arn ARN) time.Duration {
		return c.db.Writers.PTTL(t.Context(), c.db.Names.Execution(string(arn))).Val()
	}
	for _, status := range []Status{Failed, TimedOut, Aborted, "A_NEW_END"} {
		e := failed(testARN(t, "fails-"+string(status)), now(), "no")
		e.Status = status
		apply(t, c, e)
		if got := life(e.ARN); got > time.Hour+time.Second || got < 50*time.Minute {
			t.Errorf("%s is kept for %v", status, got)
		}
		e.ARN = testARN(t, "late-"+string(status))
		e.StartDate, e.StopDate = e.StartDate.Add(-2*time.Hour), e.StopDate.Add(-2*time.Hour)
		if got := apply(t, c, e); got[0] != Expired {
			t.Errorf("%s of two hours ago: %s", status, got[0])
		}
		runs := running(e.ARN, e.StartDate)
		apply(t, c, runs)
		if got := life(e.ARN); got > time.Hour {
			t.Errorf("a late event that %s runs keeps it for %v", status, got)
		}
		if got := apply(t, c, e); got[0] != Expired || stored(t, c, e.ARN) != nil {
			t.Errorf("%s after that: %s", status, got[0])
		}
	}
	e := succeeded(testARN(t, "succeeds"), now(), `{}`)
	apply(t, c, e)
	if got := life(e.ARN); got < 14*24*time.Hour {
		t.Errorf("a success is kept for %v", got)
	}
}
