package cache

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// TestStore is the suite that every kind of Redis must pass. What it proves on
// miniredis is only that a laptop can run on that.
func TestStore(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) { storeSuite(t, r.URL) }, cachetest.Single, cachetest.Mini)
}

func storeSuite(t *testing.T, url string) {
	c, keys := openWithKeys(t, url)
	if err := c.db.Check(t.Context()); err != nil {
		t.Fatalf("check: %v", err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Fatalf("ping: %v", err)
	}
	for name, test := range truthSuite {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
	for name, test := range map[string]func(*testing.T, *Cache){
		"a late RUNNING changes nothing": func(t *testing.T, c *Cache) {
			arn, start := testARN(t, "late"), now()
			got := apply(t, c, succeeded(arn, start, `{"a":1}`), running(arn, start))
			if want := []Verdict{Applied, Superseded}; !cmp.Equal(got, want) {
				t.Errorf("verdicts %v, want %v", got, want)
			}
			want := `{"success":true,"data":{"status":"SUCCEEDED","executionArn":"` + string(arn) + `","startDate":"` +
				start.UTC().Format(time.RFC3339) + `","stopDate":"` + start.Add(time.Second).UTC().Format(time.RFC3339) + `","output":{"a":1}}}`
			if diff := cmp.Diff(want, string(stored(t, c, arn).Plain.Body)); diff != "" {
				t.Error(diff)
			}
		},
		"a redrive beats the failure before it": func(t *testing.T, c *Cache) {
			arn, start := testARN(t, "redrive"), now()
			again := running(arn, start)
			again.RedriveCount = 1
			apply(t, c, again, failed(arn, start, "Boom: no"))
			if r := stored(t, c, arn); r.Status != Running || r.Version.RedriveCount() != 1 {
				t.Errorf("status %s, version %s", r.Status, r.Version)
			}
		},
		"a registration is below everything": func(t *testing.T, c *Cache) {
			arn, start := testARN(t, "registered"), now()
			for i, want := range []bool{true, false} {
				created, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "ada", StartDate: start.Add(-time.Minute)})
				if err != nil || created != want {
					t.Fatalf("registration %d: %v, %v", i, created, err)
				}
			}
			if r := stored(t, c, arn); r.Status != Running || r.Owner != "ada" || !r.StartDate.Equal(start.Add(-time.Minute)) || r.Version != Unobserved {
				t.Errorf("registered: %+v", r)
			}
			apply(t, c, failed(arn, start, "Boom: no"))
			if r := stored(t, c, arn); r.Status != Failed || r.Owner != "ada" || !r.StartDate.Equal(start) {
				t.Errorf("observed: %+v", r)
			}
			if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "eve"}); !errors.Is(err, ErrOwnerConflict) {
				t.Errorf("another owner: %v", err)
			}
		},
		"a large body is kept compressed and whole": func(t *testing.T, c *Cache) {
			arn := testARN(t, "large")
			output := `{"n":9007199254740993,"f":1.0e10,"z":-0,"a":1,"a":2,  "s":"` + strings.Repeat("<\u2028 ", 60_000) + `"}`
			apply(t, c, succeeded(arn, now(), output))
			r := stored(t, c, arn)
			if r.Gzip == nil || len(r.Gzip.Body) > len(r.Plain.Body)/10 {
				t.Error("not compressed")
			}
			if !strings.Contains(string(r.Plain.Body), `"output":`+output+`}}`) {
				t.Error("output is not what it was")
			}
		},
		"an output that was awaited ends the run in the index too": func(t *testing.T, c *Cache) {
			arn, start := testARN(t, "awaited"), now()
			awaited := succeeded(arn, start, "")
			awaited.Completeness = OutputAwaited
			running := c.db.Names.Partition(string(arn)).Running
			for i, e := range []Execution{awaited, succeeded(arn, start, `{}`)} {
				apply(t, c, e)
				if indexed := slices.Contains(indexMembers(t, c, running), arn); indexed != (i == 0) {
					t.Errorf("after observation %d: among the running: %v", i, indexed)
				}
			}
		},
		"an API key and its daily limit": func(t *testing.T, _ *Cache) {
			cachetest.ClearOfMidnight(t)
			secret, created := createKey(t, keys, apikeys.Key{Owner: "ada", Scope: apikeys.ScopeRead, DailyLimit: 5})
			found, err := keys.Find(t.Context(), secret)
			if err != nil {
				t.Fatal(err)
			}
			for spent := range found.DailyLimit {
				if _, err := keys.SpendQuota(t.Context(), found); err != nil {
					t.Errorf("request %d: %v", spent+1, err)
				}
			}
			if _, err := keys.SpendQuota(t.Context(), found); !errors.Is(err, apikeys.ErrLimitReached) {
				t.Errorf("beyond the limit: %v", err)
			}
			if _, err := keys.Revoke(t.Context(), created.Prefix); err != nil {
				t.Fatal(err)
			}
			cachetest.Eventually(t, "the revoked key is refused", func() bool {
				_, err := keys.Find(t.Context(), secret)
				return errors.Is(err, apikeys.ErrNotFound)
			})
		},
		"a change is notified": func(t *testing.T, c *Cache) {
			arn, start := testARN(t, "heard"), now()
			near := func(want Status) func() bool {
				return func() bool {
					_, err := c.Get(t.Context(), arn)
					r, ok := c.Peek(string(arn))
					return err == nil && ok && r.Status == want
				}
			}
			apply(t, c, failed(arn, start, "no"))
			cachetest.Eventually(t, "the failure is near", near(Failed)) // for a minute, unless a change is heard
			again := running(arn, start)
			again.RedriveCount = 1
			apply(t, c, again)
			cachetest.Eventually(t, "the redrive is near", near(Running))
		},
		"an unknown execution": func(t *testing.T, c *Cache) {
			if r := stored(t, c, testARN(t, "nobody")); r != nil {
				t.Errorf("found %+v", r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}
