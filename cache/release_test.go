package cache

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"statuscache/cache/cachetest"
)

// writeSamples writes the samples of this release: go test ./cache -run
// TestRecordsOfEarlierReleases -write-samples NAME. Do that once, before a change
// of the record format lands, and keep the file for as long as such records may
// live: 400 days.
var writeSamples = flag.String("write-samples", "", "write testdata/records/NAME.json with records of this release")

// sample is a record as a release wrote it, and what that release said of it.
type sample struct {
	ARN       ARN     `json:"arn"`
	Record    []byte  `json:"record"`
	Owner     string  `json:"owner"`
	InputType string  `json:"inputType"`
	Version   Version `json:"version"`
	ETag      string  `json:"etag"`
	Status    string  `json:"status"`
	Full      string  `json:"full"`
}

// TestRecordsOfEarlierReleases: every record that an earlier release wrote is read
// as that release read it, and what comes next is joined with it without losing its
// owner or anything else that is set once.
func TestRecordsOfEarlierReleases(t *testing.T) {
	t.Parallel()
	if *writeSamples != "" {
		writeSamplesTo(t, filepath.Join("testdata", "records", *writeSamples+".json"))
	}
	files, err := filepath.Glob(filepath.Join("testdata", "records", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	c := openIdle(t, "redis://"+miniredis.RunT(t).Addr(), func(o *Options) { o.Retention = 100 * 365 * 24 * time.Hour })
	for _, file := range files {
		for _, s := range readSamples(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+s.ARN.Name(), func(t *testing.T) { s.check(t, c) })
		}
	}
}

func (s sample) check(t *testing.T, c *Cache) {
	if err := c.db.Writers.Set(t.Context(), c.db.Names.Execution(string(s.ARN)), s.Record, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	r := stored(t, c, s.ARN)
	if r.Owner != s.Owner || r.InputType != s.InputType || r.Version != s.Version || r.Plain.ETag[0] != s.ETag {
		t.Errorf("read as %q, %q, %s, %s", r.Owner, r.InputType, r.Version, r.Plain.ETag[0])
	}
	if string(r.Plain.Body) != s.Status {
		t.Errorf("answered with\n%s, was\n%s", r.Plain.Body, s.Status)
	}
	if full := r.Full(time.Time{}).Body; string(full) != s.Full {
		t.Errorf("the full view is\n%s, was\n%s", full, s.Full)
	}
	next := succeeded(s.ARN, r.StartDate, `{"next":true}`)
	next.RedriveCount, next.Owner, next.InputType = 9, "somebody else", "text"
	apply(t, c, next)
	wantOwner, wantType := s.Owner, s.InputType
	if wantOwner == "" {
		wantOwner = "somebody else"
	}
	if wantType == "" {
		wantType = "text"
	}
	if r.labels != stored(t, c, s.ARN).labels {
		t.Error("joined with what came next it has other labels")
	}
	if r := stored(t, c, s.ARN); r.Status != Succeeded || r.Owner != wantOwner || r.InputType != wantType {
		t.Errorf("joined with what came next: %s of %q, %q", r.Status, r.Owner, r.InputType)
	}
}

func readSamples(t *testing.T, file string) (samples []sample) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &samples); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return samples
}

// writeSamplesTo stores one execution of each kind in a real Redis and writes down
// what it finds there.
func writeSamplesTo(t *testing.T, file string) {
	t.Helper()
	c := openIdle(t, cachetest.Redis(t).URL())
	var samples []sample
	for name, observe := range sampleExecutions(now()) {
		arn := testARN(t, name)
		observe(t, c, arn)
		record, err := c.db.Readers.Get(t.Context(), c.db.Names.Execution(string(arn))).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r := stored(t, c, arn)
		samples = append(samples, sample{
			ARN: arn, Record: record, Owner: r.Owner, InputType: r.InputType, Version: r.Version,
			ETag: r.Plain.ETag[0], Status: string(r.Plain.Body), Full: string(r.Full(time.Time{}).Body),
		})
	}
	text, err := json.MarshalIndent(samples, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sampleExecutions are observations of every kind, by the name of an execution.
func sampleExecutions(start time.Time) map[string]func(*testing.T, *Cache, ARN) {
	owned := func(e Execution) Execution {
		e.Owner, e.InputType = "ada|{ö}\x00", "url"
		return e
	}
	one := func(make func(ARN) Execution) func(*testing.T, *Cache, ARN) {
		return func(t *testing.T, c *Cache, arn ARN) { apply(t, c, make(arn)) }
	}
	ended := func(status Status) func(*testing.T, *Cache, ARN) {
		return one(func(arn ARN) Execution {
			e := failed(arn, start, "Boom: no")
			e.Status = status
			return owned(e)
		})
	}
	success := func(output string, completeness Completeness) func(*testing.T, *Cache, ARN) {
		return one(func(arn ARN) Execution {
			e := owned(succeeded(arn, start, output))
			e.Completeness = completeness
			return e
		})
	}
	register := func(owner string, begun time.Time) func(*testing.T, *Cache, ARN) {
		return func(t *testing.T, c *Cache, arn ARN) {
			if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: owner, StartDate: begun}); err != nil {
				t.Fatal(err)
			}
		}
	}
	registered := register("bob", start.Add(-time.Minute))
	return map[string]func(*testing.T, *Cache, ARN){
		"running":         one(func(arn ARN) Execution { return owned(running(arn, start)) }),
		"without-owner":   one(func(arn ARN) Execution { return running(arn, start) }),
		"succeeded":       success(`{ "n" : 9007199254740993 }`, Complete),
		"large":           success(`"`+strings.Repeat("x y ", 3000)+`"`, Complete),
		"output-awaited":  success("", OutputAwaited),
		"output-given-up": success("", OutputGivenUp),
		"failed":          ended(Failed),
		"timed-out":       ended(TimedOut),
		"aborted":         ended(Aborted),
		"a-new-end":       ended("A_NEW_END"),
		"registered":      registered,
		"labeled": one(func(arn ARN) Execution {
			return labeled(owned(failed(arn, start, "no")), Labels{"ruleset": "r 1", "customer": "ö"})
		}),
		"registered-with-labels": func(t *testing.T, c *Cache, arn ARN) {
			if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "bob", Labels: Labels{"ruleset": "r 1"}}); err != nil {
				t.Fatal(err)
			}
		},
		"registered-plain":    register("bob", time.Time{}),
		"registered-long-ago": register("bob", start.AddDate(-1, 0, 0)),
		"registered-and-observed": func(t *testing.T, c *Cache, arn ARN) {
			registered(t, c, arn)
			apply(t, c, owned(running(arn, start)), owned(failed(arn, start, "no")))
		},
		"redriven": func(t *testing.T, c *Cache, arn ARN) {
			again := owned(running(arn, start))
			again.RedriveCount = 2
			apply(t, c, owned(failed(arn, again.StartDate, "no")), again, owned(failed(arn, again.StartDate, "late")))
		},
	}
}
