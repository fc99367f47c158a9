package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/diagnose"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/awstest"
	"statuscache/ingest/operate"
)

func TestMain(m *testing.M) { apptest.Main(m, map[string]func(){"statusdev": main}) }

// laptop is a running statusdev.
type laptop struct {
	*apptest.Process
	api, key string
}

var (
	apiLine = regexp.MustCompile(`(?m)^API +(http://\S+)/v1/status/`)
	keyLine = regexp.MustCompile(`(?m)^csk_live_[0-9a-f]{32}$`)
)

// startLaptop starts statusdev and returns when it has printed how to begin.
func startLaptop(t *testing.T, args ...string) *laptop {
	t.Helper()
	l := &laptop{Process: apptest.Start(t, "statusdev", nil, args...)}
	cachetest.Eventually(t, "statusdev says how to begin", func() bool { return strings.Contains(l.Output(), "Ctrl-C ends it") })
	api, key := apiLine.FindStringSubmatch(l.Output()), keyLine.FindString(l.Output())
	if api == nil || key == "" {
		t.Fatalf("no URL or no key:\n%s", l.Output())
	}
	l.api, l.key = api[1], key
	return l
}

// TestALaptopInOneProcess starts the whole system, runs one execution, and stops it. No other
// process is started, so it also runs with -short.
func TestALaptopInOneProcess(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var out, log cachetest.Log
	cmd := command(&out, &log)
	cmd.SetArgs([]string{"--listen-addr", "127.0.0.1:0", "--no-demo"})
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	cachetest.Eventually(t, "it says how to begin", func() bool { return strings.Contains(out.String(), "Ctrl-C ends it") })
	l := &laptop{api: apiLine.FindStringSubmatch(out.String())[1], key: keyLine.FindString(out.String())}
	l.checkKeys(t, keyLine.FindAllString(out.String(), -1))
	l.checkOrigins(t)
	l.checkSettings(t, out.String())
	status, begun, err := l.ask("POST", "/v1/generate", `{"inputType":"url","simulate":"throttled"}`) // which fails soonest
	if err != nil || status != 202 {
		t.Fatalf("%d %v %v", status, begun, err)
	}
	arn, _ := begun["executionArn"].(string)
	var last map[string]any
	cachetest.Eventually(t, "the execution has failed", func() bool {
		_, last, _ = l.ask("GET", "/v1/status/"+arn, "")
		return last["status"] == "FAILED"
	})
	l.checkEnd(t, "throttled", "url", last)
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

var setting = regexp.MustCompile(`(?:export | )(REDIS_URL|API_KEY_PEPPER)=(\S+)`)

// checkSettings: a key created with the printed settings is valid.
func (l *laptop) checkSettings(t *testing.T, printed string) {
	t.Helper()
	settings := map[string]string{}
	for _, found := range setting.FindAllStringSubmatch(printed, -1) {
		settings[found[1]] = found[2]
	}
	c, err := cache.Open(cache.Options{URL: settings["REDIS_URL"], Prefix: "sc", Log: slog.New(slog.DiscardHandler), WriteLimit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(settings["API_KEY_PEPPER"]), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := keys.Create(t.Context(), apikeys.Key{Owner: "ada", Name: "mine", Scope: apikeys.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	mine := &laptop{api: l.api, key: secret}
	if status, data, err := mine.ask("GET", "/v1/executions", ""); status != 200 || err != nil {
		t.Errorf("with a key of our own: %d %v %v", status, data, err)
	}
}

// ask returns the data of an answer. It follows Retry-After: on a busy machine, Redis may be
// slow.
func (l *laptop) ask(method, path, body string) (status int, data map[string]any, err error) {
	for begun := time.Now(); ; <-time.After(10 * time.Millisecond) {
		status, data, err = l.askOnce(method, path, body)
		if status != http.StatusServiceUnavailable || time.Since(begun) > time.Minute {
			return status, data, err
		}
	}
}

func (l *laptop) askOnce(method, path, body string) (int, map[string]any, error) {
	r, err := http.NewRequest(method, l.api+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+l.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, err
	}
	var envelope struct{ Data, Error map[string]any }
	if err := json.Unmarshal(text, &envelope); err != nil {
		return 0, nil, err
	}
	if envelope.Data == nil {
		return answer.StatusCode, envelope.Error, nil
	}
	return answer.StatusCode, envelope.Data, nil
}

// TestPollingScript does the same as the script of the public documentation, 35 times at once:
// it starts an execution and polls with the raw ARN in the path. The pause between two polls is
// 2 s, and grows by half up to 10 s.
func TestPollingScript(t *testing.T) {
	t.Parallel()
	l := startLaptop(t, "--listen-addr", "127.0.0.1:0")
	ends := map[string]string{"succeeded": "SUCCEEDED", "failed": "FAILED", "unreachable": "FAILED", "throttled": "FAILED", "timed_out": "FAILED", "redriven": "SUCCEEDED", "oversize": "SUCCEEDED"}
	var wg sync.WaitGroup
	for n := range 5 {
		for simulate, want := range ends {
			wg.Go(func() {
				inputType := []string{"url", "cve", "text"}[n%3]
				status, data, err := l.ask("POST", "/v1/generate", `{"inputType":"`+inputType+`","simulate":"`+simulate+`","n":`+strconv.Itoa(n)+`}`)
				if err != nil || status != 202 || data["status"] != "RUNNING" || data["startDate"] == nil {
					t.Errorf("%s: %d %v %v", simulate, status, data, err)
					return
				}
				last := l.poll(t, data["executionArn"].(string), simulate == "redriven")
				if last["status"] != want {
					t.Errorf("%s ended as %v", simulate, last)
				}
				l.checkEnd(t, simulate, inputType, last)
			})
		}
	}
	wg.Wait()
	l.Signal(syscall.SIGINT)
	if code := l.Wait(); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
}

// poll polls until the execution has ended. A failure that will be redriven is not its end.
func (l *laptop) poll(t *testing.T, arn string, redriven bool) map[string]any {
	delay := 2 * time.Second
	for range 20 {
		status, data, err := l.ask("GET", "/v1/status/"+arn, "")
		if err != nil || status != 200 || data["executionArn"] != arn {
			t.Errorf("%s: %d %v %v", arn, status, data, err)
			return data
		}
		if data["status"] == "SUCCEEDED" || data["status"] == "FAILED" && !redriven {
			return data
		}
		<-time.After(delay)
		delay = min(delay*3/2, 10*time.Second)
	}
	t.Errorf("%s does not end", arn)
	return nil
}

func (l *laptop) checkEnd(t *testing.T, simulate, inputType string, data map[string]any) {
	output, _ := data["output"].(map[string]any)
	switch simulate {
	case "succeeded", "redriven", "oversize":
		for _, part := range []string{"rules", "ttps", "iocs", "detectionGaps", "pipelineNotices", "metadata"} {
			if _, ok := output[part]; !ok {
				t.Errorf("the output has no %s: %v", part, output)
			}
		}
		if metadata, _ := output["metadata"].(map[string]any); metadata["inputType"] != inputType {
			t.Errorf("metadata: %v", metadata)
		}
		if text, _ := json.Marshal(output); simulate == "oversize" && len(text) < 200_000 {
			t.Errorf("an oversize output of %d bytes", len(text))
		}
	case "failed":
		if data["errorMessage"] != "TierLimitExceeded: Monthly rule generation limit reached" {
			t.Errorf("failed: %v", data)
		}
	case "throttled":
		if message, _ := data["errorMessage"].(string); !strings.HasPrefix(message, "ModelThrottled: ") {
			t.Errorf("throttled: %v", data)
		}
	case "timed_out":
		if data["errorMessage"] != "States.Timeout: Execution timed out" {
			t.Errorf("timed out: %v", data)
		}
	}
}

// TestDoctorFindsNothingWrongOnALaptop, with the settings that it prints.
func TestDoctorFindsNothingWrongOnALaptop(t *testing.T) {
	t.Parallel()
	l := startLaptop(t, "--listen-addr", "127.0.0.1:0")
	env := map[string]string{}
	for line := range strings.Lines(l.Output()) {
		if settings, is := strings.CutPrefix(line, "export "); is {
			for setting := range strings.FieldsSeq(settings) {
				name, value, _ := strings.Cut(setting, "=")
				env[name] = value
			}
		}
	}
	config, err := app.LoadStore(pflag.NewFlagSet("", pflag.ContinueOnError), func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	operator, err := operate.NewOperator(awstest.Config(t, env["AWS_ENDPOINT_URL"]), config.SQSQueueURL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(cache.Options{ // on a busy machine, Redis may be slow
		URL: config.RedisURL, Prefix: config.RedisPrefix, Retention: config.Retention, ReadLimit: time.Minute, WriteLimit: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	config.APIKeysFile = "" // the content of Redis is checked
	keys, err := app.OpenKeys(config, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	setUp := operate.SetUp{EventPath: operate.EventPath{QueueURL: config.SQSQueueURL, EventBus: config.EventBus}, StateMachines: config.StateMachines}
	findings := append(operator.Diagnose(t.Context(), setUp), diagnose.Run(t.Context(), c, keys)...)
	if len(findings) < 20 {
		t.Errorf("only %d findings", len(findings))
	}
	for _, f := range findings {
		if !f.OK() && (!f.Unchecked() || f.Failed()) { // an embedded Redis does not report everything
			t.Errorf("%+v", f)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	l := startLaptop(t, "--listen-addr", "127.0.0.1:0", "--no-demo")
	for body, want := range map[string]string{
		`{}`: "inputType", `{"inputType":"file"}`: "inputType", `{"inputType":"url","simulate":"no"}`: "simulate",
		`[]`: "body", `{`: "body", `{"inputType":7}`: "body",
	} {
		status, data, err := l.ask("POST", "/v1/generate", body)
		message, _ := data["message"].(string)
		if err != nil || status != 400 || !strings.Contains(message, want) {
			t.Errorf("%s: %d %v %v", body, status, data, err)
		}
	}
	l.key = "none"
	if status, _, err := l.ask("POST", "/v1/generate", `{"inputType":"url"}`); status != 401 {
		t.Errorf("without a key: %d, %v", status, err)
	}
}

func TestOwnRedisAndPorts(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t)
	l := startLaptop(t, "--listen-addr", "127.0.0.1:0", "--redis-url", redis.URL())
	cachetest.Eventually(t, "records are in the Redis that was named", func() bool { return redis.Do("DBSIZE") > ":3" })
	l.Signal(syscall.SIGTERM)
	if code := l.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, args := range map[string][]string{
		"a port in use":  {"--listen-addr", taken.Addr().String()},
		"no Redis there": {"--listen-addr", "127.0.0.1:0", "--redis-url", "redis://127.0.0.1:1"},
		"not a Redis":    {"--listen-addr", "127.0.0.1:0", "--redis-url", "x"},
	} {
		p := apptest.Start(t, "statusdev", nil, args...)
		if code := p.Wait(); code != 1 || len(p.Lines()) != 1 || !strings.HasPrefix(p.Output(), "statusdev: ") {
			t.Errorf("%s: exit code %d\n%s", name, code, p.Output())
		}
	}
}

func TestDefaultPortGivesWay(t *testing.T) {
	t.Parallel()
	cachetest.Eventually(t, "statusdev gives way to the process that has the port", func() bool {
		taken, err := net.Listen("tcp", defaultAddr)
		if err == nil {
			defer func() { _ = taken.Close() }()
		} // otherwise another process has it, which is just as good, unless it ends meanwhile
		l := startLaptop(t, "--no-demo")
		defer l.Kill()
		gaveWay := strings.Contains(l.Output(), defaultAddr+" is in use") && !strings.HasSuffix(l.api, ":8080")
		if !gaveWay && err == nil {
			t.Fatalf("the output does not mention the port:\n%s", l.Output())
		}
		return gaveWay
	})
}

// checkKeys checks that the keys are those of a reader, an operator and a registrar.
func (l *laptop) checkKeys(t *testing.T, keys []string) {
	t.Helper()
	if len(keys) != 3 {
		t.Fatalf("%d keys are printed", len(keys))
	}
	reader := l.key
	defer func() { l.key = reader }()
	const body = `{"executionArn":"arn:aws:states:eu-west-1:000000000000:execution:CloudSigmaPipeline:registered","owner":"ada"}`
	for i, want := range []struct{ list, register int }{{403, 403}, {200, 403}, {403, 201}} {
		l.key = keys[i]
		list, _, err1 := l.ask("GET", "/v1/executions?owner=ada", "")
		register, _, err2 := l.ask("POST", "/v1/executions", body)
		if err1 != nil || err2 != nil || list != want.list || register != want.register {
			t.Errorf("key %d: %d for the list of another owner, %d for a registration: %v, %v", i, list, register, err1, err2)
		}
	}
}

// checkOrigins checks that only pages of this machine may call the API.
func (l *laptop) checkOrigins(t *testing.T) {
	t.Helper()
	for origin, want := range map[string]bool{
		"http://localhost:3000": true, "http://127.0.0.1:5173": true, "http://localhost": true,
		"https://example.com": false, "http://localhost.example.com": false, "null": false,
	} {
		r, err := http.NewRequest(http.MethodGet, l.api+"/v1/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Access-Control-Allow-Origin") != ""; got != want {
			t.Errorf("a page of %s may call the API: %v", origin, got)
		}
	}
}
