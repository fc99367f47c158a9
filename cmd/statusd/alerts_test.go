package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/localaws"
)

// scrapeEvery is the time between two scrapes by the clock of the rules. In reality, they
// follow each other at once; .tools/rulecheck moves them to their times.
const scrapeEvery = 30 * time.Second

// observed is a statusd that a Prometheus scrapes.
type observed struct {
	*world
	d       *daemon
	folder  string
	brief   bool // no rules are evaluated with the scrapes, so one scrape of the fault is enough
	scrapes int
	started int
	first   string           // a running execution
	checker *httptest.Server // of tokens
}

// fault is a fault that makes alerts fire.
type fault struct {
	name   string
	alerts string                     // that must fire
	hold   time.Duration              // how long the fault lasts, by the clock of the rules
	begin  func(o *observed)          // returns when statusd has noticed
	each   func(o *observed)          // called between two scrapes; nil: normal use
	env    func(o *observed) []string // settings of statusd
	always bool                       // the fault exists from the start
}

var errRefused = errors.New("refused by the test")

// faults are caused from outside. Operators meet each of them.
var faults = []fault{
	{name: "Redis is stopped", alerts: "StatusdIngestPaused StatusdReadsBurnFast", hold: 8 * time.Minute, each: read,
		begin: func(o *observed) {
			o.redis.Kill()
			o.until("receiving stops", func() bool { return o.d.metric("statuscache_ingest_paused") == 1 })
		}},
	{name: "the queue cannot be read", alerts: "StatusdIngestTrouble", hold: 3 * time.Minute, each: read,
		begin: func(o *observed) {
			o.aws.SetFaults(localaws.Faults{FailReceive: func() error { return errRefused }})
			o.until("the fault is reported", func() bool { return o.d.counter("statuscache_ingest_trouble", `part="receive"`) == 1 })
		}},
	{name: "messages are not events", alerts: "StatusdDeadLetters", hold: 3 * time.Minute,
		begin: func(o *observed) {
			o.each(1, func() { o.queue.Send("no event", 0) }, "statuscache_events_total", "undecodable")
		}},
	{name: "Step Functions throttles", alerts: "StatusdAWSRefuses", hold: 35 * time.Minute,
		begin: func(o *observed) {
			o.aws.SetThrottling(localaws.Throttling{Buckets: map[string]localaws.Bucket{"ListExecutions": {}, "DescribeExecution": {}}})
		},
		each: func(o *observed) { o.sometimes("statuscache_aws_calls_total", `result="throttled"`) }},
	{name: "events are lost", alerts: "StatusdCorrectnessBurnFast", hold: 8 * time.Minute,
		begin: func(o *observed) { o.aws.SetEmission(localaws.Emission{Loss: 1}) },
		each:  func(o *observed) { o.each(1, func() { o.execute("long") }, "statuscache_audit_repairs_total", "") }},
	{name: "events are late", alerts: "StatusdFreshnessBurnFast", hold: 8 * time.Minute,
		begin: func(*observed) {},
		each: func(o *observed) {
			o.started++
			body := oldEvent(fmt.Sprint("late-", o.started), "RUNNING", time.Now().Add(-5*time.Hour), "")
			o.each(1, func() { o.queue.Send(body, 0) }, "statuscache_events_total", `result="applied"`)
		}},
	{name: "deletes fail", alerts: "StatusdDeletesFail", hold: 35 * time.Minute,
		begin: func(o *observed) {
			o.aws.SetFaults(localaws.Faults{FailDelete: func(string) bool { return true }})
		},
		each: func(o *observed) {
			o.each(6, func() { o.execute("short"); o.execute("short"); o.execute("short") }, "statuscache_deletes_failed_total", "")
		}},
	{name: "lists are denied", alerts: "StatusdAuditBehind StatusdAuditFails", hold: 50 * time.Minute,
		begin: func(o *observed) {
			o.aws.SetFaults(localaws.Faults{Refuse: func(action string) error {
				if action == "ListExecutions" {
					return errRefused
				}
				return nil
			}})
		},
		each: func(o *observed) { o.sometimes("statuscache_audit_sweeps_total", `result="failed"`) }},
	{name: "Redis is emptied", alerts: "StatusdRedisLost StatusdRedisEmptied", hold: 3 * time.Minute, each: func(*observed) {},
		begin: func(o *observed) {
			o.redis.Do("FLUSHALL")
			o.until("statusd notices it", func() bool { return o.d.counter("statuscache_lost", "") > 0 })
		}},
	{name: "Redis may evict", alerts: "StatusdMisconfigured", hold: 3 * time.Minute,
		begin: func(o *observed) {
			o.redis.Do("CONFIG SET maxmemory-policy allkeys-lru")
			o.until("statusd notices it", func() bool { return o.d.counter("statuscache_misconfigured", "") > 0 })
		}},
	{name: "keys are unknown", alerts: "StatusdTokensRefused", hold: 30 * time.Minute,
		begin: func(*observed) {},
		each: func(o *observed) {
			_, _ = getOnce("http://"+o.d.api+"/v1/executions", strings.Replace(o.d.key, "csk_live_", "csk_live_0", 1)[:len(o.d.key)])
		}},
	{name: "executions have no owner", alerts: "StatusdOwnersMissing", hold: 35 * time.Minute, each: read,
		begin: func(o *observed) {
			for range 60 {
				o.started++
				if _, err := o.aws.StartExecution(o.machine, fmt.Sprint("long-without-", o.started), `{}`); err != nil {
					o.Fatal(err)
				}
			}
			o.until("they are counted", func() bool { return o.d.metric("statuscache_recent_executions_without_owner") > 50 })
		}},
	{name: "statusd is down", alerts: "StatusdAbsent", hold: 4 * time.Minute, each: func(*observed) {},
		begin: func(o *observed) { o.d.Kill() }},
	{name: "only ROLE=api runs", alerts: "StatusdIngestAbsent", hold: 7 * time.Minute, each: read, always: true,
		begin: func(*observed) {},
		env:   func(*observed) []string { return []string{"ROLE=api", "SQS_QUEUE_URL="} }},
	{name: "Step Functions no longer has expired outputs", alerts: "StatusdRefetchesFail", hold: 3 * time.Minute,
		begin: func(o *observed) {
			o.queue.Send(oldEvent("old", "SUCCEEDED", time.Now().Add(-5*time.Hour), "{}"), 0)
			arn := "arn:aws:states:eu-west-1:000000000000:execution:Pipeline:old" // which Step Functions does not know
			o.until("its output is requested", func() bool {
				return o.post("/v1/executions/"+url.PathEscape(arn)+"/output") == http.StatusAccepted
			})
			o.until("the output is reported as gone", func() bool { return o.d.counter("statuscache_refetches_total", "gone") > 0 })
		},
		env: func(*observed) []string { return []string{"RETENTION_OUTPUT=1h"} }},
	{name: "tokens are not checked", alerts: "StatusdIntrospectionFails", hold: 4 * time.Minute, each: read,
		begin: func(o *observed) {
			o.checker.Close()
			_, _ = getOnce("http://"+o.d.api+"/v1/executions", "a-token-of-the-platform")
			o.until("statusd notices it", func() bool { return o.d.metric("statuscache_introspection_failing") == 1 })
		},
		env: func(o *observed) []string {
			o.checker = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"active":false}`))
			}))
			o.Cleanup(o.checker.Close)
			secret := filepath.Join(o.TempDir(), "secret")
			if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
				o.Fatal(err)
			}
			return []string{
				"AUTH_INTROSPECTION_URL=" + o.checker.URL, "AUTH_INTROSPECTION_CLIENT_ID=statusd", "AUTH_INTROSPECTION_SECRET_FILE=" + secret,
			}
		}},
	{name: "a certificate is not renewed", alerts: "StatusdCertificateEnds StatusdCertificateEndsSoon", hold: 65 * time.Minute, always: true,
		begin: func(*observed) {},
		each:  func(*observed) {},
		env: func(o *observed) []string {
			certFile, keyFile := certificate(o.T) // for an hour
			return []string{"TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile}
		}},
}

// TestScrapesOfFaults writes what Prometheus scrapes from a statusd before and during each
// fault, and during an hour without a fault, into the folder that SCRAPES names.
// .tools/check-deploy/observability evaluates the rules with it: the alerts must fire, and no
// alert may fire before a fault. Without SCRAPES, one scrape shows that statusd notices each
// fault.
func TestScrapesOfFaults(t *testing.T) {
	t.Parallel()
	root := os.Getenv("SCRAPES")
	if root == "" {
		root = t.TempDir()
	}
	cachetest.SkipShort(t, "a process for each fault")
	for _, f := range append(faults, fault{name: "no alert fires", hold: time.Hour, begin: func(*observed) {}}) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			o := observe(t, filepath.Join(root, strings.ReplaceAll(f.name, " ", "-")), f)
			o.brief = os.Getenv("SCRAPES") == "" && cachetest.Rounds(1, 2) == 1
			if !f.always && !o.brief {
				o.hold(10*time.Minute, use)
			}
			begun := o.now()
			f.begin(o)
			if f.each == nil {
				f.each = use
			}
			o.hold(f.hold, f.each)
			o.write("expected", fmt.Sprintf("%d %s\n", int(begun.Seconds()), f.alerts))
		})
	}
}

// observe starts a statusd that has served a status and applied events.
func observe(t *testing.T, folder string, f fault) *observed {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	o := &observed{folder: folder, world: newWorld(t, func(a localaws.Attempt) localaws.Ending {
		if strings.HasPrefix(a.Name, "long") {
			return localaws.Ending{}
		}
		return localaws.Ending{After: 50 * time.Millisecond, Status: "SUCCEEDED", Output: "{}"}
	})}
	var env []string
	if f.env != nil {
		env = f.env(o)
	}
	o.d = startDaemon(t, o.redis, o.queueURL, append([]string{
		"AWS_ENDPOINT_URL=" + o.endpoint, "STATE_MACHINES=" + o.machine, "AUDIT_EVERY=1s", "DESCRIBE_RATE=100", "LOG_LEVEL=warn",
	}, env...)...)
	if !f.always {
		o.first = o.execute("long")
		o.until("the first event is applied", func() bool { return o.d.counter("statuscache_events_total", "") > 0 })
		o.until("an audit has run", func() bool { return o.d.counter("statuscache_audit_sweeps_total", "complete") > 0 })
	}
	return o
}

// execute starts an execution; executions with the name long do not end.
func (o *observed) execute(name string) (arn string) {
	o.Helper()
	o.started++
	e, err := o.aws.StartExecution(o.machine, fmt.Sprint(name, "-", o.started), `{"tenantId":"ada"}`)
	if err != nil {
		o.Fatal(err)
	}
	return e.ARN
}

// read requests a status and ignores the answer.
func read(o *observed) {
	_, _ = getOnce("http://"+o.d.api+"/v1/executions?limit=1", o.d.key)
}

// post returns the status code of a request without a body; 0: no answer.
func (o *observed) post(path string) int {
	o.Helper()
	r, err := http.NewRequestWithContext(o.Context(), http.MethodPost, "http://"+o.d.api+path, http.NoBody)
	if err != nil {
		o.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+o.d.key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// use is normal use: a status is read, an execution starts and ends, statusd knows it, and the
// audit runs.
func use(o *observed) {
	if status, body := o.d.status(cache.ARN(o.first), o.d.key); status != http.StatusOK {
		o.Fatalf("%d %s", status, body)
	}
	o.each(2, func() { o.execute("short") }, "statuscache_events_total", "") // the audit may find it before its event arrives
	o.sometimes("statuscache_audit_sweeps_total", `result="complete"`)
}

// sometimes waits, before one of eight scrapes, until a counter has grown without further
// action.
func (o *observed) sometimes(counter, label string) {
	o.Helper()
	if o.scrapes%8 == 0 {
		o.each(1, func() {}, counter, label)
	}
}

// each does something and waits until a counter has grown by n.
func (o *observed) each(n int, do func(), counter, label string) {
	o.Helper()
	before := o.d.counter(counter, label)
	do()
	o.until(counter+" grows", func() bool { return o.d.counter(counter, label) >= before+n })
}

func (o *observed) until(what string, met func() bool) {
	o.Helper()
	cachetest.Eventually(o, what, met)
}

// now is the time of the next scrape by the clock of the rules.
func (o *observed) now() time.Duration { return time.Duration(o.scrapes) * scrapeEvery }

// hold scrapes for some time, and calls a function before each scrape.
func (o *observed) hold(d time.Duration, each func(*observed)) {
	o.Helper()
	if o.brief {
		d = scrapeEvery
	}
	for end := o.now() + d; o.now() < end; o.scrapes++ {
		each(o)
		text := ""
		if status, metrics := getOnce("http://"+o.d.admin+"/metrics", ""); status == http.StatusOK {
			text = metrics
		}
		o.write(fmt.Sprintf("%06d-%d.prom", int(o.now().Seconds()), time.Now().UnixMilli()), text)
	}
}

func (o *observed) write(name, text string) {
	o.Helper()
	if err := os.WriteFile(filepath.Join(o.folder, name), []byte(text), 0o644); err != nil {
		o.Fatal(err)
	}
}
