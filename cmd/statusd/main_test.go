package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/event"
	"statuscache/ingest/ingesttest"
	"statuscache/ingest/sqstest"
)

const pepper = "pepper pepper pepper"

func TestMain(m *testing.M) {
	apptest.Main(m, map[string]func(){"statusd": main, "slow-redis": slowRedis, "deletes-first": deletesFirst, "few-files": fewFiles, "prints": prints})
}

// slowRedis is a statusd that gives Redis more time. It is for tests that do not check time
// limits, because the machine may be busy.
func slowRedis() {
	app.Main("statusd", command(os.Stdout, os.Stderr, app.Program{ReadLimit: time.Minute, WriteLimit: time.Minute}))
}

// TestStartErrors: each mistake is one clear line with the fix and exit code 1.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t)
	evicting := cachetest.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	locked := cachetest.Redis(t)
	locked.Do("CONFIG SET requirepass another")
	endpoint, _ := sqstest.Local(t)
	queue := sqstest.NewQueue(t, sqstest.Client(t, endpoint), nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	nobody := "127.0.0.1:" + strconv.Itoa(cachetest.FreePort(t))

	good := map[string]string{
		"REDIS_URL": redis.URL(), "API_KEY_PEPPER": pepper, "SQS_QUEUE_URL": queue, "AWS_REGION": "eu-west-1",
		"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "LISTEN_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0",
	}
	for name, test := range map[string]struct {
		change map[string]string
		want   []string // each is the words of one line
	}{
		"a wrong setting":          {map[string]string{"RATE_LIMIT": "many"}, []string{`RATE_LIMIT "many" whole number`}},
		"several":                  {map[string]string{"ROLE": "both", "RETENTION": "1s", "SQS_QUEUE_URL": "queue"}, []string{"ROLE both", "SQS_QUEUE_URL queue", "RETENTION 1h"}},
		"no queue":                 {map[string]string{"SQS_QUEUE_URL": ""}, []string{"SQS_QUEUE_URL not set ROLE=api"}},
		"no way to authenticate":   {map[string]string{"API_KEY_PEPPER": ""}, []string{"API_KEY_PEPPER JWT_ISSUER openssl statusctl"}},
		"a short pepper":           {map[string]string{"API_KEY_PEPPER": "abc"}, []string{"API_KEY_PEPPER short 16", "API_KEY_PEPPER"}},
		"no Redis":                 {map[string]string{"REDIS_URL": "redis://user:secret@" + nobody}, []string{"REDIS_URL refused address"}},
		"a Redis that evicts":      {map[string]string{"REDIS_URL": evicting.URL()}, []string{"REDIS_URL allkeys-lru noeviction"}},
		"a wrong password":         {map[string]string{"REDIS_URL": "redis://:secret@" + locked.Addr}, []string{"REDIS_URL password"}},
		"not a Redis URL":          {map[string]string{"REDIS_URL": "http://user:secret@x"}, []string{"REDIS_URL scheme"}},
		"no such queue":            {map[string]string{"SQS_QUEUE_URL": queue + "x"}, []string{"SQS_QUEUE_URL no such queue"}},
		"nobody at the queue":      {map[string]string{"SQS_QUEUE_URL": "http://" + nobody + "/1/q"}, []string{"SQS_QUEUE_URL reached refused"}},
		"no region":                {map[string]string{"AWS_REGION": ""}, []string{"AWS_REGION not set"}},
		"another region":           {map[string]string{"SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/q"}, []string{"AWS_REGION us-east-1"}},
		"no credentials":           {map[string]string{"AWS_ACCESS_KEY_ID": ""}, []string{"credentials AWS_ACCESS_KEY_ID"}},
		"a port in use":            {map[string]string{"LISTEN_ADDR": taken.Addr().String()}, []string{"LISTEN_ADDR in use --listen-addr"}},
		"an admin port in use":     {map[string]string{"ADMIN_ADDR": taken.Addr().String()}, []string{"ADMIN_ADDR in use"}},
		"no certificate":           {map[string]string{"TLS_CERT_FILE": "/nowhere"}, []string{"TLS_CERT_FILE no such file", "TLS_KEY_FILE both"}},
		"no keys file":             {map[string]string{"API_KEYS_FILE": filepath.Join(t.TempDir(), "none.json")}, []string{"API_KEYS_FILE none.json statusctl keys export unset"}},
		"a JWT issuer without TLS": {map[string]string{"JWT_ISSUER": "http://issuer.example.com", "JWT_CLIENT_IDS": "x"}, []string{"JWT_ISSUER https"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var env []string
			for setting, value := range good {
				if changed, ok := test.change[setting]; ok {
					value = changed
				}
				env = append(env, setting+"="+value)
			}
			for setting, value := range test.change {
				if _, ok := good[setting]; !ok {
					env = append(env, setting+"="+value)
				}
			}
			p := apptest.Start(t, "statusd", env)
			if code := p.Wait(); code != 1 {
				t.Errorf("exit code %d", code)
			}
			var lines []string
			for _, line := range p.Lines() {
				if !strings.HasPrefix(line, "{") { // the log
					lines = append(lines, line)
				}
			}
			text := strings.Join(lines, "\n")
			if strings.Contains(text, "secret") || strings.Contains(text, "goroutine") || strings.Contains(text, pepper) {
				t.Errorf("a secret or a stack trace:\n%s", text)
			}
			for _, want := range test.want {
				if !someLineHas(lines, strings.Fields(want)) {
					t.Errorf("no line with %q in:\n%s", want, text)
				}
			}
			if len(lines) > max(len(test.want), 1) {
				t.Errorf("%d lines:\n%s", len(lines), text)
			}
		})
	}
}

func someLineHas(lines, words []string) bool {
	for _, line := range lines {
		all := strings.HasPrefix(line, "statusd: ")
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

func TestPrintConfigHidesSecrets(t *testing.T) {
	t.Parallel()
	code, out := apptest.Run(t, inTest, []string{"REDIS_URL=redis://u:hunter2@h", "API_KEY_PEPPER=" + pepper, "ROLE=ingest"}, "--print-config", "--role", "api")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"ROLE ", "= api ", "# flag", "redis://(hidden)@h", "# environment", "# default"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, pepper) {
		t.Error("secrets are printed")
	}
}

// TestPrintConfigAlignsItsColumns also if a name or a value is long.
func TestPrintConfigAlignsItsColumns(t *testing.T) {
	t.Parallel()
	long := "redis://" + strings.Repeat("x", 60)
	_, out := apptest.Run(t, inTest, []string{"API_KEY_PEPPER=" + pepper, "REDIS_URL=" + long}, "--print-config", "--role", "api")
	if !strings.Contains(out, "AUTH_INTROSPECTION_SECRET_FILE ") || !strings.Contains(out, long) {
		t.Fatalf("a long name or value is missing in\n%s", out)
	}
	first, _, _ := strings.Cut(out, "\n")
	for line := range strings.Lines(out) {
		if strings.Index(line, " = ") != strings.Index(first, " = ") || strings.Index(line, " # ") != strings.Index(first, " # ") {
			t.Errorf("not aligned with the first line:\n%s%s", first+"\n", line)
		}
	}
}

// daemon is a statusd with a Redis and a queue.
type daemon struct {
	*apptest.Process
	redis *cachetest.Server
	cache *cache.Cache
	keys  *apikeys.Keys
	api   string
	admin string
	key   string // of an operator
}

// startDaemon starts statusd and returns when it is ready.
func startDaemon(t *testing.T, redis *cachetest.Server, queue string, more ...string) *daemon {
	t.Helper()
	return startDaemonOf(t, "", redis, queue, more...)
}

// startDaemonOf starts the statusd in a file, empty for the one that is tested.
func startDaemonOf(t *testing.T, file string, redis *cachetest.Server, queue string, more ...string) *daemon {
	t.Helper()
	return startDaemonBy(t, func(env []string) *apptest.Process {
		if file == "" {
			return apptest.Start(t, "statusd", env)
		}
		return apptest.StartFile(t, file, env)
	}, redis, queue, more...)
}

// startPatient starts a statusd that gives Redis more time, see slowRedis.
func startPatient(t *testing.T, redis *cachetest.Server, queue string, more ...string) *daemon {
	t.Helper()
	return startDaemonBy(t, func(env []string) *apptest.Process { return apptest.Start(t, "slow-redis", env) }, redis, queue, more...)
}

// startDaemonBy starts statusd with the given function.
func startDaemonBy(t *testing.T, start func(env []string) *apptest.Process, redis *cachetest.Server, queue string, more ...string) *daemon {
	t.Helper()
	d := &daemon{redis: redis}
	d.api = "127.0.0.1:" + strconv.Itoa(cachetest.FreePort(t))
	d.admin = "127.0.0.1:" + strconv.Itoa(cachetest.FreePort(t))
	d.Process = start(append(environment(redis, queue), append([]string{"LISTEN_ADDR=" + d.api, "ADMIN_ADDR=" + d.admin}, more...)...))
	d.cache, d.keys = openCache(t, redis)
	var err error
	if d.key, _, err = d.keys.Create(t.Context(), apikeys.Key{Owner: "ops", Name: "test", Scope: apikeys.ScopeReadAll}); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "statusd is ready", func() bool {
		status, _ := getOnce("http://"+d.admin+"/readyz", "")
		return status == 200
	})
	return d
}

func environment(redis *cachetest.Server, queue string) []string {
	return []string{
		"REDIS_URL=" + redis.URL(), "API_KEY_PEPPER=" + pepper, "SQS_QUEUE_URL=" + queue, "OWNER_PATH=tenantId",
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "RATE_LIMIT=0",
		"SHUTDOWN_TIMEOUT=5m", // of a busy machine
	}
}

func openCache(t *testing.T, redis *cachetest.Server) (*cache.Cache, *apikeys.Keys) {
	t.Helper()
	c, err := cache.Open(cache.Options{
		URL: redis.URL(), Prefix: "sc", Retention: 360 * time.Hour, ReadLimit: time.Minute, WriteLimit: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(pepper), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c, keys
}

// get sends a request like a client that follows Retry-After, because Redis may be slow on a
// busy machine.
func get(target, token string) (status int, body string) {
	for begun := time.Now(); ; <-time.After(10 * time.Millisecond) {
		status, body = getOnce(target, token)
		if status != http.StatusServiceUnavailable || time.Since(begun) > time.Minute {
			return status, body
		}
	}
}

func getOnce(target, token string) (status int, body string) {
	return requestOnce(http.MethodGet, target, token)
}

// requestOnce sends one request without a body. The status is 0, and body the error, if there is no answer.
func requestOnce(method, target, token string) (status int, body string) {
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

func (d *daemon) status(arn cache.ARN, token string) (int, string) {
	return get("http://"+d.api+"/v1/status/"+url.PathEscape(string(arn)), token)
}

func send(t *testing.T, client *sqs.Client, queue, body string) {
	t.Helper()
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// left returns how many messages a queue has, including hidden ones.
func left(t *testing.T, client *sqs.Client, queue string) int {
	t.Helper()
	a, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	visible, err1 := strconv.Atoi(a.Attributes["ApproximateNumberOfMessages"])
	hidden, err2 := strconv.Atoi(a.Attributes["ApproximateNumberOfMessagesNotVisible"])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return visible + hidden
}

// TestEveryFixture sends every fixture to an independent SQS, several times and in random
// order, and requests each execution over HTTP.
func TestEveryFixture(t *testing.T) {
	t.Parallel()
	endpoint := sqstest.Fauxqs(t)
	client := sqstest.Client(t, endpoint)
	queue, dead := sqstest.NewQueueWithDeadLetters(t, client, 1, nil)
	// Its queue URLs have a host that only its own resolver knows. There is no Step Functions,
	// so outputs that events left out are given up.
	d := startPatient(t, cachetest.Redis(t), queue, "AWS_ENDPOINT_URL_SQS="+endpoint,
		"AWS_ENDPOINT_URL_SFN=http://127.0.0.1:1", "HYDRATE_DEADLINE=1s")

	decoder := event.Decoder{Owner: event.OwnerPath{"tenantId"}}
	newest := map[cache.ARN]cache.Execution{}
	owners := map[cache.ARN]string{}
	var bodies []string
	for _, body := range ingesttest.Fixtures(t) {
		body = ingesttest.ShiftToNow(t, body)
		for range 3 {
			bodies = append(bodies, escaped(string(body)))
		}
		event, err := decoder.Decode(body)
		if err != nil {
			continue // ignored, or moved to the dead letters
		}
		e := event
		if before, ok := newest[e.ARN]; !ok || before.Version() < e.Version() {
			newest[e.ARN] = e
		}
		if e.Owner != "" {
			owners[e.ARN] = e.Owner
		}
	}
	rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	for _, body := range bodies {
		send(t, client, queue, body)
	}
	tenant, _, err := d.keys.Create(t.Context(), apikeys.Key{Owner: "tnt_7f3a", Name: "tenant", Scope: apikeys.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	for arn, e := range newest {
		want := answer(e)
		var got string
		cachetest.Eventually(t, string(arn)+" is answered with\n"+want, func() bool {
			_, got = d.status(arn, d.key)
			return got == want
		})
		status, _ := d.status(arn, tenant)
		if (status == 200) != (owners[arn] == "tnt_7f3a") || status != 200 && status != 403 {
			t.Errorf("%s of %q: %d for its tenant", arn, owners[arn], status)
		}
	}
	// One fixture can never be decoded, so its three copies become dead letters.
	cachetest.Eventually(t, "the queue is empty and the dead letters are three", func() bool {
		return left(t, client, queue) == 0 && left(t, client, dead) == 3
	})
}

// TestOutputByteForByte sends outputs that a JSON encoder would change through the whole
// system, with an independent SQS.
func TestOutputByteForByte(t *testing.T) {
	t.Parallel()
	endpoint := sqstest.Fauxqs(t)
	client := sqstest.Client(t, endpoint)
	queue := sqstest.NewQueue(t, client, nil)
	d := startDaemon(t, cachetest.Redis(t), queue, "AWS_ENDPOINT_URL_SQS="+endpoint)
	outputs := []string{
		`{"n":9007199254740993}`, `[1.0e10]`, `-0`, `{"a":1,"a":2}`, `{ "a" :  1 ,"b":[ ] }`, "\"\u2028\"", `"\u2028\u003c"`,
		`"<script>&'"`, `{"large":"` + strings.Repeat("<x> ", 250<<10/4) + `"}`,
	}
	for n, output := range outputs {
		text, err := json.Marshal(output) // the event has it as text, so its content does not change
		if err != nil {
			t.Fatal(err)
		}
		send(t, client, queue, strings.Replace(statusEvent(n, "SUCCEEDED", 1000), `"{\"n\":`+strconv.Itoa(n)+`}"`, string(text), 1))
	}
	for n, output := range outputs {
		var got string
		cachetest.Eventually(t, "execution "+strconv.Itoa(n)+" is known", func() bool {
			var status int
			status, got = d.status(arnOf(t, n), d.key)
			return status == 200
		})
		if !strings.HasSuffix(got, `,"output":`+output+`}}`) {
			t.Errorf("%.100s became %.300s", output, got)
		}
	}
}

// escaped writes characters beyond U+FFFF, which fauxqs refuses, as JSON escapes.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r1, r2 := utf16.EncodeRune(r); r > 0xFFFF {
			fmt.Fprintf(&b, `\u%04x\u%04x`, r1, r2)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// answer returns the answer that the contract requires for an execution, without the code under
// test.
func answer(e cache.Execution) string {
	date := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	head := fmt.Sprintf(`,"executionArn":%q,"startDate":%q`, e.ARN, date(e.StartDate))
	switch {
	case !e.Terminal():
		head = `"status":"RUNNING"` + head
	case e.Status == cache.Succeeded && e.Completeness == cache.Complete:
		head = `"status":"SUCCEEDED"` + head + fmt.Sprintf(`,"stopDate":%q,"output":%s`, date(e.StopDate), e.Output)
	case e.Status == cache.Succeeded:
		head = `"status":"SUCCEEDED"` + head + fmt.Sprintf(`,"stopDate":%q,"output":null,"outputTruncated":true`, date(e.StopDate))
	default:
		message, err := json.Marshal(e.ErrorMessage)
		if err != nil {
			return err.Error()
		}
		head = `"status":"FAILED"` + head + fmt.Sprintf(`,"stopDate":%q,"errorMessage":%s`, date(e.StopDate), message)
	}
	return `{"success":true,"data":{` + head + `}}`
}

// TestTermination: a process that is asked to stop does this in order, and a second process
// continues where it stopped.
func TestTermination(t *testing.T) {
	t.Parallel()
	endpoint, _ := sqstest.Local(t)
	client := sqstest.Client(t, endpoint)
	queue := sqstest.NewQueue(t, client, nil)
	d := startDaemon(t, cachetest.Redis(t), queue)
	for n := range 50 {
		send(t, client, queue, statusEvent(n, "RUNNING", 0))
	}
	d.Signal(syscall.SIGTERM)
	if code := d.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := d.Lines()
	if last := lines[len(lines)-1]; !strings.Contains(last, `"msg":"stopped"`) {
		t.Errorf("the last line: %s", last)
	}
	again := startDaemon(t, d.redis, queue)
	cachetest.Eventually(t, "every message is handled", func() bool { return left(t, client, queue) == 0 })
	for n := range 50 {
		if status, body := again.status(arnOf(t, n), again.key); status != 200 {
			t.Errorf("execution %d: %d %s", n, status, body)
		}
	}
}

func arnOf(t *testing.T, n int) cache.ARN {
	t.Helper()
	arn, err := cache.ParseARN(fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:Pipeline:run-%d", n))
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// started is when the executions of statusEvent began.
var started = time.Now().Add(-time.Minute).Truncate(time.Millisecond)

func statusEvent(n int, status string, stop int64) string {
	stopDate, output := "null", "null"
	if status == "SUCCEEDED" {
		stopDate, output = strconv.FormatInt(started.UnixMilli()+stop, 10), `"{\"n\":`+strconv.Itoa(n)+`}"`
	}
	return fmt.Sprintf(`{"version":"0","id":"%d-%s","detail-type":"Step Functions Execution Status Change","source":"aws.states",`+
		`"time":%q,"detail":{"executionArn":"arn:aws:states:us-east-1:123456789012:execution:Pipeline:run-%d","status":%q,"startDate":%d,"stopDate":%s,`+
		`"input":"{\"tenantId\":\"ada\"}","output":%s,"redriveCount":0}}`,
		n, status, started.UTC().Format(time.RFC3339), n, status, started.UnixMilli(), stopDate, output)
}
