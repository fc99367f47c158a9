package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/pflag"
)

// load reads settings from an environment.
func load(env map[string]string, args ...string) (Config, error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		return Config{}, err
	}
	return Load(flags, func(name string) string { return env[name] })
}

func TestSettings(t *testing.T) {
	t.Parallel()
	const pepper = "0123456789abcdef"
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want string // in the error; empty: none
	}{
		"least":               {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper}, nil, ""},
		"ingest needs no key": {map[string]string{"ROLE": "ingest", "SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q"}, nil, ""},
		"flags win":           {map[string]string{"ROLE": "x", "API_KEY_PEPPER": pepper}, []string{"--role=api"}, ""},
		"JWT alone":           {map[string]string{"ROLE": "api", "JWT_ISSUER": "https://i.example.com", "JWT_CLIENT_IDS": "a, b"}, nil, ""},
		"JWT without clients": {map[string]string{"ROLE": "api", "JWT_ISSUER": "https://i.example.com"}, nil, "JWT_CLIENT_IDS"},
		"clients without JWT": {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "JWT_CLIENT_IDS": "a"}, nil, "JWT_ISSUER"},
		"TLS half":            {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "TLS_KEY_FILE": "app_test.go"}, nil, "TLS_CERT_FILE"},
		"FIFO":                {map[string]string{"SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q.fifo", "API_KEY_PEPPER": pepper}, nil, "FIFO"},
		"a queue's console":   {map[string]string{"ROLE": "ingest", "SQS_QUEUE_URL": "https://eu-west-1.console.aws.amazon.com/sqs/v3/home?region=eu-west-1#/queues/x"}, nil, "page of the AWS console"},
		"a queue, no name":    {map[string]string{"ROLE": "ingest", "SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012"}, nil, "lacks the account or the name"},
		"a queue and a slash": {map[string]string{"ROLE": "ingest", "SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/q/"}, nil, "has more parts"},
		"a queue's old host":  {map[string]string{"ROLE": "ingest", "SQS_QUEUE_URL": "https://eu-west-1.queue.amazonaws.com/123456789012/q"}, nil, ""},
		"a queue elsewhere":   {map[string]string{"ROLE": "ingest", "SQS_QUEUE_URL": "http://localhost:9324/queue/events"}, nil, ""},
		"JWT's discovery":     {map[string]string{"ROLE": "api", "JWT_ISSUER": "https://i.example.com/p/.well-known/openid-configuration", "JWT_CLIENT_IDS": "a"}, nil, "as in the claim iss of its tokens: https://i.example.com/p"},
		"a rate":              {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "RATE_LIMIT": "1.5"}, nil, "RATE_LIMIT"},
		"an origin":           {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "CORS_ORIGINS": "https://a.example.com/path"}, nil, "CORS_ORIGINS"},
		"the dashboard":       {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "DASHBOARD": "yes"}, nil, "DASHBOARD"},
		"a client, no issuer": {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "DASHBOARD_OIDC_CLIENT_ID": "web"}, nil, "DASHBOARD_OIDC_CLIENT_ID"},
		"an unknown client": {map[string]string{
			"ROLE": "api", "JWT_ISSUER": "https://id.example.com", "JWT_CLIENT_IDS": "app", "DASHBOARD_OIDC_CLIENT_ID": "web",
		}, nil, "DASHBOARD_OIDC_CLIENT_ID"},
		"any origin":       {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "CORS_ORIGINS": "*"}, nil, "CORS_ORIGINS"},
		"an address":       {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "LISTEN_ADDR": "8080"}, nil, "LISTEN_ADDR"},
		"a prefix":         {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "REDIS_PREFIX": "a{b}"}, nil, "REDIS_PREFIX"},
		"acks":             {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "REDIS_REPLICA_ACKS": "-1"}, nil, "REDIS_REPLICA_ACKS"},
		"a state machine":  {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "STATE_MACHINES": "Pipeline"}, nil, "STATE_MACHINES"},
		"an event bus":     {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "EVENT_BUS": "a b"}, nil, "EVENT_BUS"},
		"a bus by its ARN": {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "EVENT_BUS": "arn:aws:events:eu-west-1:123456789012:event-bus/hub"}, nil, ""},
		"an owner path":    {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "OWNER_PATH": "a..b"}, nil, "OWNER_PATH"},
		"a label's path":   {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "LABEL_PATHS": "a=b..c"}, nil, "LABEL_PATHS"},
		"five labels":      {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "LABEL_PATHS": "a=a,b=b,c=c,d=d,e=e"}, nil, "LABEL_PATHS"},
		"a duration":       {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "RETENTION": "15d"}, nil, "RETENTION"},
		"kept too short":   {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "RETENTION_FAILED": "59m"}, nil, "RETENTION_FAILED"},
		"failed too long":  {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "RETENTION": "24h", "RETENTION_FAILED": "25h"}, nil, "RETENTION_FAILED: 25h0m0s is longer than RETENTION"},
		"output too long":  {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "RETENTION_OUTPUT": "361h"}, nil, "RETENTION_OUTPUT: 361h0m0s is longer than RETENTION"},
		"kept as long":     {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "RETENTION_OUTPUT": "360h", "RETENTION_FAILED": "360h"}, nil, ""},
		"a level":          {map[string]string{"ROLE": "api", "API_KEY_PEPPER": pepper, "LOG_LEVEL": "loud"}, nil, "LOG_LEVEL"},
	} {
		c, err := load(test.env, test.args...)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
		if err != nil && strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: one mistake, several lines: %v", name, err)
		}
		if err == nil && strings.Contains(c.Print(), pepper) {
			t.Errorf("%s: the pepper is printed", name)
		}
	}
}

// TestAnUnreachableAdminPortIsReported if probes and Prometheus are outside the machine.
func TestAnUnreachableAdminPortIsReported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kubernetes, addr string
		want             bool
	}{{"10.0.0.1", "", true}, {"10.0.0.1", "localhost:9090", true}, {"10.0.0.1", ":9090", false}, {"", "", false}} {
		config, err := load(map[string]string{"ROLE": "api", "API_KEY_PEPPER": "0123456789abcdef", "KUBERNETES_SERVICE_HOST": c.kubernetes, "ADMIN_ADDR": c.addr})
		if err != nil {
			t.Fatal(err)
		}
		if reported := strings.Contains(strings.Join(config.Warnings(), "\n"), "set ADMIN_ADDR=:9090"); reported != c.want {
			t.Errorf("%+v: reported %v", c, reported)
		}
	}
}

// TestRetentionsThatAreShortAreReported if a late message could restore an expired execution,
// or an output could not be fetched again.
func TestRetentionsThatAreShortAreReported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set  map[string]string
		want []string
	}{
		"the defaults":       {nil, nil},
		"the least":          {map[string]string{"RETENTION": "336h", "RETENTION_FAILED": "336h"}, nil},
		"all":                {map[string]string{"RETENTION": "24h"}, []string{"RETENTION is 24h0m0s"}},
		"failures":           {map[string]string{"RETENTION_FAILED": "24h"}, []string{"RETENTION_FAILED is 24h0m0s"}},
		"all, failures too":  {map[string]string{"RETENTION": "24h", "RETENTION_FAILED": "2h"}, []string{"RETENTION is 24h0m0s"}},
		"outputs":            {map[string]string{"RETENTION_OUTPUT": "24h"}, nil},
		"outputs for ever":   {map[string]string{"RETENTION_OUTPUT": "24h", "HYDRATE_RATE": "0"}, []string{"RETENTION_OUTPUT is set but HYDRATE_RATE is 0"}},
		"outputs as records": {map[string]string{"RETENTION_OUTPUT": "360h", "HYDRATE_RATE": "0"}, nil},
	} {
		env := map[string]string{"SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q", "API_KEY_PEPPER": "0123456789abcdef"}
		maps.Copy(env, test.set)
		config, err := load(env)
		if err != nil {
			t.Fatal(err)
		}
		got := config.Warnings()
		if len(got) != len(test.want) || len(got) > 0 && !strings.HasPrefix(got[0], test.want[0]) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// pipe is a log that can be blocked.
type pipe struct {
	mu  sync.Mutex // the writer that blocks the pipe holds it
	out bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// TestBlockedLog: code that logs never waits. The control is the pipe itself, which would block
// it for ever.
func TestBlockedLog(t *testing.T) {
	t.Parallel()
	p := &pipe{}
	p.mu.Lock()
	l := newLogWriter(p)
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 3 * maxLogBytes / 1024
	for range lines {
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if p.mu.TryLock() {
		t.Fatal("the control: the pipe is not blocked")
	}
	p.mu.Unlock()
	l.Close(5 * time.Minute)
	text := p.out.String()
	if got := strings.Count(text, line); got < maxLogBytes/1024-1 || got >= lines {
		t.Errorf("%d lines of %d written", got, lines)
	}
	if !strings.Contains(text, "log lines dropped") {
		t.Error("the dropped lines are not reported")
	}
}

func TestLogIsWrittenInOrder(t *testing.T) {
	t.Parallel()
	p := &pipe{}
	l := newLogWriter(p)
	var want strings.Builder
	for n := range 1000 {
		_, _ = fmt.Fprintln(l, n)
		_, _ = fmt.Fprintln(&want, n)
	}
	l.Close(5 * time.Minute)
	if p.out.String() != want.String() {
		t.Error("lines are missing or out of order")
	}
}

func TestStagesStopInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ended []string
		part := func(name string, takes time.Duration) stage {
			return stage{name, func(ctx context.Context) error {
				<-ctx.Done()
				<-time.After(takes)
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, name)
				return nil
			}}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := runStages(ctx, 10*time.Second, []stage{part("a", 3*time.Second), part("b", time.Second), part("c", 0)})
		if err != nil || !slices.Equal(ended, []string{"a", "b", "c"}) {
			t.Errorf("%v, %v", ended, err)
		}
	})
}

func TestStageThatEndsOrHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		release := make(chan struct{})
		defer close(release)
		ended := false
		waits := func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil }
		err := runStages(t.Context(), time.Second, []stage{{"waits", waits}, {"breaks", func(context.Context) error { return broken }}})
		if !errors.Is(err, broken) {
			t.Errorf("a stage that ends: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		ended = false
		err = runStages(ctx, 5*time.Second, []stage{{"hangs", func(context.Context) error { <-release; return nil }}, {"waits", waits}})
		if err == nil || !strings.Contains(err.Error(), "hangs did not stop") || time.Since(begin) != 6*time.Second || !ended {
			t.Errorf("a stage that hangs: %v after %v; the next one ended: %v", err, time.Since(begin), ended)
		}
	})
}

func TestExit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code int
		text string
	}{
		{nil, 0, ""},
		{errors.New("a\nb"), 1, "x: a\nx: b\n"},
		{&ExitError{Code: 3}, 3, ""},
		{fmt.Errorf("wrapped: %w", &ExitError{Code: 2, Err: errors.New("no")}), 2, "x: no\n"},
	} {
		var out bytes.Buffer
		if code := Exit(&out, "x", test.err); code != test.code || out.String() != test.text {
			t.Errorf("%v: %d %q", test.err, code, &out)
		}
	}
}
