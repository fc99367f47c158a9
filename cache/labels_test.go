package cache

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"statuscache/cache/cachetest"
)

// labeled is an observation with labels.
func labeled(e Execution, labels Labels) Execution {
	e.Labels = labels
	return e
}

// drawLabels draws up to four labels, from few names so that they meet.
func drawLabels(t *rapid.T) Labels {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(strings.Fields("a b c customer ruleset B a.b a-b _ "+strings.Repeat("n", MaxLabelName))), 0, MaxLabels, rapid.ID[string]).Draw(t, "names")
	labels := Labels{}
	for _, name := range names {
		labels[name] = rapid.SampledFrom([]string{"1", "2", "10", "é", "a", "A", "00", "x:y", strings.Repeat("v", MaxLabelValue)}).Draw(t, "value")
	}
	return labels
}

// TestLabelsAreTheSameInEveryOrder joins random observations and registrations, some more
// than once, in two orders, and compares both with the rule.
func TestLabelsAreTheSameInEveryOrder(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	start := now()
	number := 0
	rapid.Check(t, func(rt *rapid.T) {
		number++
		first, second := testARN(t, fmt.Sprint("one-", number)), testARN(t, fmt.Sprint("two-", number))
		var history []observation
		for range rapid.IntRange(1, 6).Draw(rt, "observations") {
			o := observation{execution: running(first, start), labels: drawLabels(rt)}
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				o.owner, o.start = "ada", start
			case 1:
				o.execution = labeled(succeeded(first, start, `"x"`), o.labels)
			default:
				o.execution.Labels = o.labels
			}
			history = append(history, o)
		}
		history = append(history, history[rapid.IntRange(0, len(history)-1).Draw(rt, "twice")])
		shuffled := slices.Clone(history)
		seed := rapid.Uint64().Draw(rt, "order")
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		want := ""
		for i := range history {
			want = joinLabels(want, history[i].state().labels)
			for arn, o := range map[ARN]observation{first: history[i], second: shuffled[i]} {
				o.execution.ARN = arn
				w := o.write(c)
				if c.write(t.Context(), []*write{w}); w.err != nil {
					rt.Fatal(w.err)
				}
			}
		}
		for _, arn := range []ARN{first, second} {
			if got := string(stored(t, c, arn).labels); got != want {
				rt.Fatalf("%s has\n%q, want\n%q", arn.Name(), got, want)
			}
		}
	})
}

func TestARegisteredLabelBeatsTheInput(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn := testARN(t, "beats")
	apply(t, c, labeled(running(arn, now()), Labels{"customer": "z", "ruleset": "r1"}))
	if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "ada", Labels: Labels{"customer": "acme"}}); err != nil {
		t.Fatal(err)
	}
	apply(t, c, labeled(failed(arn, now(), "no"), Labels{"customer": "zz"}))
	r := stored(t, c, arn)
	if diff := cmp.Diff(Labels{"customer": "acme", "ruleset": "r1"}, r.Labels()); diff != "" {
		t.Error(diff)
	}
	if full := string(r.Full(time.Time{}).Body); !strings.HasSuffix(full, `","labels":{"customer":"acme","ruleset":"r1"}}}`) {
		t.Error(full)
	}
	before := r.Full(time.Time{}).ETag[0]
	if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "ada", Labels: Labels{"ruleset": "r2"}}); err != nil {
		t.Fatal(err)
	}
	if after := stored(t, c, arn).Full(time.Time{}).ETag[0]; after == before {
		t.Error("other labels have the same ETag in the full view")
	}
}

// TestLabelsStayWithTheirIncarnation: a name that is used again days later has labels of
// its own.
func TestLabelsStayWithTheirIncarnation(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn := testARN(t, "again")
	apply(t, c, labeled(failed(arn, now().Add(-72*time.Hour), "no"), Labels{"old": "1"}), labeled(running(arn, now()), Labels{"new": "2"}),
		labeled(failed(arn, now().Add(-72*time.Hour), "no"), Labels{"old": "1"}))
	if diff := cmp.Diff(Labels{"new": "2"}, stored(t, c, arn).Labels()); diff != "" {
		t.Error(diff)
	}
}

// TestTheLongestRegistersFit: labels, owner and input type as long as they may be, through
// every step of a join.
func TestTheLongestRegistersFit(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, want := testARN(t, "long"), Labels{}
	long := func(prefix string) Labels {
		labels := Labels{}
		for i := range MaxLabels {
			name := fmt.Sprintf("%s%d%s", prefix, i, strings.Repeat("n", MaxLabelName-2))
			labels[name] = strings.Repeat("v", MaxLabelValue)
		}
		maps.Copy(want, labels)
		return labels
	}
	e := labeled(running(arn, now()), long("a"))
	e.InputType = strings.Repeat("t", MaxInputTypeLength)
	apply(t, c, e)
	if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: strings.Repeat("o", MaxOwnerLength), Labels: long("b")}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		apply(t, c, e)
	}
	e.Status, e.StopDate, e.Completeness = Succeeded, e.StartDate.Add(time.Second), OutputAwaited
	apply(t, c, e)
	e.Completeness, e.Output = Complete, []byte(`"`+strings.Repeat("x", 3000)+`"`)
	apply(t, c, e, e)
	r := stored(t, c, arn)
	if diff := cmp.Diff(want, r.Labels()); diff != "" || len(r.Owner) != MaxOwnerLength || r.Status != Succeeded {
		t.Errorf("%s of %d bytes\n%s", r.Status, len(r.Owner), diff)
	}
	x, err := c.Explain(t.Context(), arn)
	if err != nil || len(x.Trail) != 16 || x.Trail[15].Version != e.Version() || x.Trail[14].Version != e.Version() {
		t.Errorf("the trail: %+v, %v", x.Trail, err)
	}
}

// TestLabelsJoinRecordsWithout: a record that an earlier release wrote gets labels and
// keeps what it had; without labels records are as that release reads them.
func TestLabelsJoinRecordsWithout(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	for _, format := range []byte{olderFormat, recordFormat} {
		arn := testARN(t, "format-"+string(format))
		e := running(arn, now())
		record := recordOf(&e, "ada", "url")
		if format == olderFormat {
			record = olderRecord(record)
		}
		key := c.db.Names.Execution(string(arn))
		if err := c.db.Writers.Set(t.Context(), key, record, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		next := failed(arn, e.StartDate, "no")
		apply(t, c, next)
		if written, _ := c.db.Readers.Get(t.Context(), key).Bytes(); written[0] != compactFormat {
			t.Errorf("without labels a record has the format %q", written[0])
		}
		apply(t, c, labeled(next, Labels{"a": "1"}))
		r := stored(t, c, arn)
		if diff := cmp.Diff(Labels{"a": "1"}, r.Labels()); diff != "" || r.Owner != "ada" || r.InputType != "url" || r.Status != Failed {
			t.Errorf("from format %c: %+v\n%s", format, r, diff)
		}
	}
}

// TestEraseForgetsLabels: of the erased owner nothing is left, labels of others stay.
func TestEraseForgetsLabels(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openIdle(t, s.URL())
	mine, other := labeled(running(testARN(t, "mine"), now()), Labels{"customer": "erased-customer"}), labeled(running(testARN(t, "other"), now()), Labels{"customer": "acme"})
	mine.Owner, other.Owner = "ada", "eve"
	apply(t, c, mine, other)
	if err := c.Erase(t.Context(), "ada", func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	if r := stored(t, c, other.ARN); r.Labels()["customer"] != "acme" || stored(t, c, mine.ARN) != nil {
		t.Errorf("%+v", r)
	}
	keys, err := c.db.Readers.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if dump, _ := c.db.Readers.Dump(t.Context(), key).Result(); strings.Contains(key+dump, "erased-customer") {
			t.Errorf("%s still has the label", key)
		}
	}
}

// TestLabelsCostNoExtraRoundTrip measures the record in Redis: nothing without labels, with two of
// usual length 120 bytes at most.
func TestLabelsCostNoExtraRoundTrip(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	size := func(name string, labels Labels) int64 {
		e := labeled(running(testARN(t, name), now()), labels)
		apply(t, c, e)
		n, err := c.db.Readers.MemoryUsage(t.Context(), c.db.Names.Execution(string(e.ARN))).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	without := size("a", nil)
	with := size("b", Labels{"ruleset": "sigma-2026-02-10", "customer": "c-1234567"})
	if with-without > 120 {
		t.Errorf("two labels take %d bytes", with-without)
	}
}

func TestWhichLabelsAreValid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "rule_set.id-2", strings.Repeat("x", MaxLabelName)} {
		if !ValidLabelName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", "a b", "a:b", "a=b", "a,b", "ä", "a\n", strings.Repeat("x", MaxLabelName+1)} {
		if ValidLabelName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, value := range []string{"1", "a b:c=ä", strings.Repeat("x", MaxLabelValue)} {
		if !ValidLabelValue(value) {
			t.Errorf("%q is refused", value)
		}
	}
	for _, value := range []string{"", "a\x00", "a\nb", "\xff", "\u0085", strings.Repeat("x", MaxLabelValue+1)} {
		if ValidLabelValue(value) {
			t.Errorf("%q is accepted", value)
		}
	}
}
