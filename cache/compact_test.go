package cache

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/tally"
)

// prefixed has a cache use names of its own in a Redis.
func prefixed(prefix string) func(*Options) { return func(o *Options) { o.Prefix = prefix } }

// histories are observations of every kind, by the name of an execution, with outputs and
// messages of many sizes.
func histories(t *testing.T) map[string]func(*testing.T, *Cache, ARN) {
	t.Helper()
	all := sampleExecutions(now())
	noise := make([]byte, 6000)
	_, _ = rand.Read(noise) // never fails (crypto/rand)
	text, start := base64.StdEncoding.EncodeToString(noise), now()
	for _, n := range []int{0, 1, 100, 127, 128, 129, 300, 700, 799, 801, 1500, 8000} {
		for name, text := range map[string]string{"noise": text[:n], "words": strings.Repeat("the same again ", 540)[:n]} {
			all[fmt.Sprint("output-", name, "-", n)] = func(t *testing.T, c *Cache, arn ARN) {
				run, end := running(arn, start), succeeded(arn, start, `{"a": "`+text+`"}`)
				run.EventID, run.EmittedAt, run.ReceivedAt = "11111111-2222-3333-4444-555555555555", start, start.Add(1234*time.Millisecond)
				end.EventID, end.EmittedAt, end.ReceivedAt = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", start.Add(time.Second).Truncate(time.Second), start.Add(time.Hour)
				apply(t, c, run, end, run)
			}
			all[fmt.Sprint("message-", name, "-", n)] = func(t *testing.T, c *Cache, arn ARN) {
				apply(t, c, failed(arn, start, `"é<`+text))
			}
		}
	}
	return all
}

var observedAtMember = regexp.MustCompile(`"observedAt":"[^"]*"`)

// TestCompactRecordsAnswerAlike: in any case before observed, a compact record gives the same
// answers, byte for byte, with the same entity tags as one in digits, and the same trail; and
// it is smaller.
func TestCompactRecordsAnswerAlike(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"redis": cachetest.Redis(t).URL(), "miniredis": "redis://" + miniredis.RunT(t).Addr()} {
		digits, compact := openIdle(t, url, prefixed("digits")), openIdle(t, url, prefixed("compact"))
		digits.formats.Fix(false)
		compact.formats.Fix(true)
		for name, observe := range histories(t) {
			arn := testARN(t, name)
			observe(t, digits, arn)
			observe(t, compact, arn)
			want, got := stored(t, digits, arn), stored(t, compact, arn)
			if want.head.Compact() || !got.head.Compact() {
				t.Fatalf("%s: formats %c and %c", name, want.head[0], got.head[0])
			}
			if diff := cmp.Diff(answersOf(t, want), answersOf(t, got)); diff != "" {
				if strings.HasPrefix(name, "registered") && want.Version == Unobserved {
					continue // shown with the time of its registration
				}
				t.Errorf("%s, %s: %s", kind, name, diff)
			}
			expectSameTrail(t, digits, compact, arn)
			size := func(c *Cache) int64 {
				return c.db.Readers.StrLen(t.Context(), c.db.Names.Execution(string(arn))).Val()
			}
			if a, b := size(digits), size(compact); b >= a {
				t.Errorf("%s, %s: %d bytes, %d in digits", kind, name, b, a)
			}
		}
	}
}

// answersOf returns all that is said of a record, without the time of its observation.
func answersOf(t *testing.T, r *Record) []string {
	t.Helper()
	full := r.Full(time.Time{}).Body
	all := []string{
		string(r.Plain.Body), r.Plain.ETag[0], string(r.Summary()), string(r.StatusOnly().Body), r.StatusOnly().ETag[0],
		observedAtMember.ReplaceAllString(string(full), ""), r.Owner, r.InputType, string(r.Source), r.Error, r.stopDate.String(), fmt.Sprint(r.Terminal, r.Labels()),
	}
	if r.Gzip == nil {
		return all
	}
	reader, err := gzip.NewReader(bytes.NewReader(r.Gzip.Body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil || string(text) != string(r.Plain.Body) {
		t.Errorf("compressed it is %s, %v", text, err)
	}
	if want := strings.TrimSuffix(r.Plain.ETag[0], `"`) + `-gzip"`; r.Gzip.ETag[0] != want {
		t.Errorf("compressed it has the entity tag %s, want %s", r.Gzip.ETag[0], want)
	}
	return all
}

func expectSameTrail(t *testing.T, a, b *Cache, arn ARN) {
	t.Helper()
	want, err1 := a.Explain(t.Context(), arn)
	got, err2 := b.Explain(t.Context(), arn)
	if err1 != nil || err2 != nil || got.Exact != want.Exact {
		t.Errorf("%s: explained as %s, %v; want %s, %v", arn, got.Exact, err2, want.Exact, err1)
	}
	for i := range got.Trail {
		if time.Since(got.Trail[i].AppliedAt) > time.Hour {
			t.Errorf("%s: applied at %v", arn, got.Trail[i].AppliedAt)
		}
	}
	if diff := cmp.Diff(want.Trail, got.Trail, cmpopts.IgnoreFields(Observation{}, "AppliedAt")); diff != "" {
		t.Errorf("%s: its trail: %s", arn, diff)
	}
}

// TestMixedFormatsJoinInEveryOrder: processes that write compact records and processes that do
// not share a Redis. Whatever they observe in which order, and whoever writes, the record is the
// join of all, and the indexes have the execution once.
func TestMixedFormatsJoinInEveryOrder(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	writers := []*Cache{openIdle(t, url), openIdle(t, url)}
	writers[0].formats.Fix(false)
	writers[1].formats.Fix(true)
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for i := range cachetest.Rounds(200, 1500) {
		arn := testARN(t, fmt.Sprint("mixed-", i))
		all := observations(arn, now())
		var states []joined
		for _, k := range randomHistory(r, len(all)) {
			states = append(states, all[k].state())
			c := writers[r.IntN(2)]
			if o := all[k]; o.owner != "" {
				_, _ = c.Register(t.Context(), Registration{ARN: arn, Owner: o.owner, StartDate: o.start, Labels: o.labels}) // perhaps of an earlier incarnation
			} else {
				apply(t, c, o.execution)
			}
		}
		want := fold(join, states)
		reader := writers[i%2]
		got := expectState(t, reader, arn, want)
		if got.head.Version() == Unobserved {
			continue
		}
		p := reader.db.Names.Partition(string(arn))
		runs := got.PublicStatus() == Running
		if n := timesIn(indexMembers(t, reader, p.Running), arn); n > 1 || n == 1 != runs {
			t.Errorf("execution %d is %d times among what runs: %s", i, n, got.Status)
		}
		if n := timesIn(indexMembers(t, reader, p.Recent), arn); n != 1 {
			t.Errorf("execution %d is %d times in the recent index", i, n)
		}
		if x, err := reader.Explain(t.Context(), arn); err != nil || len(x.Trail) == 0 || len(x.Trail) > 16 {
			t.Errorf("execution %d has a trail of %d, %v", i, len(x.Trail), err)
		}
	}
}

func timesIn(all []ARN, arn ARN) (n int) {
	for _, each := range all {
		if each == arn {
			n++
		}
	}
	return n
}

// TestRecordsSurviveAnUpgrade: records in digits are read, changed and removed by a process
// that writes compact ones, and each change makes its record compact.
func TestRecordsSurviveAnUpgrade(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	older, newer := openIdle(t, url), openIdle(t, url)
	older.formats.Fix(false)
	newer.formats.Fix(true)
	const executions = 2000
	batch := make([]Execution, executions)
	for i := range batch {
		batch[i] = running(testARN(t, fmt.Sprint("upgraded-", i)), now())
		batch[i].Owner, batch[i].Labels = fmt.Sprint("owner-", i%3), Labels{"n": fmt.Sprint(i)}
	}
	older.Apply(t.Context(), batch)
	ends := slices.Clone(batch)
	for i := range ends {
		ends[i] = succeeded(batch[i].ARN, batch[i].StartDate, fmt.Sprintf(`{"n":%d}`, i))
	}
	for i, o := range newer.Apply(t.Context(), ends[:executions/2]) {
		if o.Verdict != Applied {
			t.Fatalf("execution %d: %+v", i, o)
		}
	}
	for i, found := range newer.GetMany(t.Context(), arnsOf(batch)) {
		r, status := found.Record, Running
		if i < executions/2 {
			status = Succeeded
		}
		if r == nil || r.Status != status || r.Owner != batch[i].Owner || r.Labels()["n"] != fmt.Sprint(i) || r.head.Compact() != (status == Succeeded) {
			t.Fatalf("execution %d: %+v, %v", i, r, found.Err)
		}
		if ok, err := newer.Forget(t.Context(), r.ARN, r.Version); !ok || err != nil {
			t.Fatalf("execution %d is not removed: %v", i, err)
		}
	}
	for i := range newer.db.Names.Partitions {
		p := &newer.db.Names.Partitions[i]
		if left := append(indexMembers(t, newer, p.Running), indexMembers(t, newer, p.Recent)...); len(left) != 0 {
			t.Fatalf("the indexes still have %v", left)
		}
	}
}

func arnsOf(batch []Execution) (arns []ARN) {
	for _, e := range batch {
		arns = append(arns, e.ARN)
	}
	return arns
}

// TestStateMachinesWithTheSameIdentifier: the executions of the second are entered into indexes
// by their ARNs, so that each is found.
func TestStateMachinesWithTheSameIdentifier(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn := testARN(t, "4a1c7f5e-0000-4000-8000-000000000001")
	id := tally.MachineOf(arn.StateMachine())
	const other = "arn:aws:states:eu-west-1:123456789012:stateMachine:Other"
	if err := c.db.Writers.HSet(t.Context(), c.db.Names.Counted, string(id[:]), other).Err(); err != nil {
		t.Fatal(err)
	}
	apply(t, c, running(arn, now()))
	if r := stored(t, c, arn); r == nil || r.head.Compact() {
		t.Errorf("the record is %+v", r)
	}
	p := c.db.Names.Partition(string(arn))
	for _, key := range []string{p.Running, p.Recent} {
		if got := indexMembers(t, c, key); len(got) != 1 || got[0] != arn {
			t.Errorf("%s has %v", key, got)
		}
	}
}

// TestDecodeRefusesDamagedCompactRecords: a part of a record is not taken for a whole, and none
// may claim to be larger than any event.
func TestDecodeRefusesDamagedCompactRecords(t *testing.T) {
	t.Parallel()
	c := openIdle(t, "redis://"+miniredis.RunT(t).Addr())
	for name, e := range map[string]Execution{
		"plain":    failed(testARN(t, "plain"), now(), "no"),
		"packed":   succeeded(testARN(t, "packed"), now(), `"`+strings.Repeat("x", 300)+`"`),
		"deflated": succeeded(testARN(t, "deflated"), now(), `"`+strings.Repeat("x", 3000)+`"`),
	} {
		apply(t, c, e)
		record := c.db.Readers.Get(t.Context(), c.db.Names.Execution(string(e.ARN))).Val()
		p, err := takeApart([]byte(record))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(record) - len(p.trail) {
			if _, err := decode(e.ARN, []byte(record[:n])); err == nil {
				t.Errorf("%s: the first %d of %d bytes are accepted", name, n, len(record))
			}
		}
		payload := len(record) - len(p.trail) - len(p.payload)
		for i := payload; i < len(record)-len(p.trail); i++ { // it may be wrong, but does no harm
			damaged := []byte(record)
			damaged[i] ^= 0xff
			if r, err := decode(e.ARN, damaged); err == nil && len(r.Plain.Body) > maxBodyLength {
				t.Errorf("%s: byte %d: a body of %d bytes", name, i, len(r.Plain.Body))
			}
		}
	}
}
