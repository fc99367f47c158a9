package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/localaws"
)

// postOutput requests the output of an execution.
func (d *daemon) postOutput(arn cache.ARN, token string) (int, string) {
	return requestOnce(http.MethodPost, "http://"+d.api+"/v1/executions/"+url.PathEscape(string(arn))+"/output", token)
}

// TestAnOutputExpiresAndComesBack: the service removes an expired output, fetches it from Step
// Functions again on request, and reports an output that Step Functions no longer has as gone.
func TestAnOutputExpiresAndComesBack(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "starts statusd")
	const output = `{ "n" : 9007199254740993 }`
	w := newWorld(t, func(localaws.Attempt) localaws.Ending { return localaws.Ending{Status: "SUCCEEDED", Output: output} })
	d := w.daemon("RETENTION_OUTPUT=1h")
	key := w.newKey(d)
	started, err := w.aws.StartExecution(w.machine, "again", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	again := cache.ARN(started.ARN)
	says := func(arn cache.ARN, text string) func() bool {
		return func() bool {
			_, body := d.status(arn, key)
			return strings.Contains(body, text)
		}
	}
	cachetest.Eventually(t, "the execution has ended", says(again, `"output":`+output))

	// Its output expires as if the execution had ended an hour earlier. The other execution
	// ended then.
	record, err := d.cache.Get(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	stop := record.StartDate
	old := cache.Execution{
		ARN: cache.ARN(strings.TrimSuffix(string(again), "again") + "old"), Status: cache.Succeeded, StartDate: stop.Add(-time.Hour), StopDate: stop.Add(-time.Hour),
		Completeness: cache.Complete, Output: []byte(output), Source: cache.FromEvent,
	}
	expiring, err := cache.Open(cache.Options{
		URL: w.redis.URL(), Prefix: "sc", Retention: 360 * time.Hour, RetentionOutput: time.Hour, ReadLimit: time.Minute, WriteLimit: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = expiring.Close() })
	d.cache = expiring // which adds outputs to the index that statusd sweeps
	d.apply(t, cache.Execution{
		ARN: again, Status: cache.Succeeded, StartDate: stop, StopDate: stop, Completeness: cache.OutputExpired, OutputFrom: stop.Add(-time.Hour), Source: cache.FromEvent,
	}, old)
	for _, arn := range []cache.ARN{again, old.ARN} {
		cachetest.Eventually(t, "the output has expired", says(arn, `"output":null,"outputExpired":true`))
	}
	cachetest.Eventually(t, "no part of the output is stored", func() bool {
		return !strings.Contains(d.cache.DB().Writers.Get(t.Context(), d.cache.DB().Names.Execution(string(old.ARN))).Val(), "9007199254740993")
	})

	for _, arn := range []cache.ARN{again, old.ARN} {
		if status, body := d.postOutput(arn, key); status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", arn.Name(), status, body)
		}
	}
	cachetest.Eventually(t, "the output is back", says(again, `"output":`+output+`}}`))
	cachetest.Eventually(t, "the other output is gone", says(old.ARN, `"outputGone":true`))
	if status, body := d.postOutput(again, key); status != http.StatusOK {
		t.Errorf("the restored output: %d %s", status, body)
	}
	if status, body := d.postOutput(old.ARN, key); status != http.StatusGone || !strings.Contains(body, "90 days") {
		t.Errorf("the output that is gone: %d %s", status, body)
	}
}
