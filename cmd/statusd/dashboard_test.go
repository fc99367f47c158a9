package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
)

// visit is a scenario of .tools/clients/dashboard: a real browser that opens the dashboard of a
// real statusd. It requests what a page cannot do, such as an event.
type visit struct {
	t       *testing.T
	daemon  *daemon
	program string               // the statusd, see TestMain
	env     []string             // of the statusd
	started map[string]time.Time // by name
}

// errand is what a scenario requests.
type errand struct {
	Ask                                         string
	Name, Owner, Status, Error, Message, Output string
	Count, Attempt                              int
	Minutes                                     int  // how long ago it began; 0: hours ago, each a second after the one before
	Expired                                     bool // its output
	Names                                       []string
	Labels                                      map[string]string
}

func TestTheDashboardInABrowser(t *testing.T) {
	t.Parallel()
	// Those that wait longest come first.
	scenarios := []string{"oidc", "unknown", "degraded", "watching", "failing", "redriven", "restart", "accessible", "hostile", "loading", "below", "flood", "basic", "signing", "scroll", "keyboard", "searching", "revoked"}
	if cachetest.Rounds(1, 2) > 1 {
		scenarios = append(scenarios, "arrival") // it only measures
	}
	var started browsers
	t.Cleanup(started.end)
	for _, scenario := range scenarios {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			visitDashboard(t, &started, scenario)
		})
	}
}

func visitDashboard(t *testing.T, started *browsers, scenario string) {
	t.Helper()
	redis := cachetest.Redis(t)
	// Most pages must show the same on a busy machine, where Redis may take long.
	v := &visit{t: t, program: "slow-redis", env: []string{"ROLE=api"}, started: map[string]time.Time{}}
	if scenario == "degraded" {
		v.program = "statusd" // whose limits are what it shows
	}
	issuer := ""
	if scenario == "oidc" {
		issuer = provider(t)
		v.env = append(v.env, "JWT_ISSUER="+issuer, "JWT_JWKS_URL="+issuer+"/jwks", "JWT_CLIENT_IDS=web", "DASHBOARD_OIDC_CLIENT_ID=web")
	}
	v.daemon = startDaemonBy(t, v.start, redis, "", v.env...)
	ownerKey, _, err := v.daemon.keys.Create(t.Context(), apikeys.Key{Owner: "ada", Name: "of ada", Scope: apikeys.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	v.run(started, scenario, map[string]string{
		"KEY": v.daemon.key, "OWNER_KEY": ownerKey, "SERVER": "http://" + v.daemon.api, "PREFIXED": prefixed(t, v.daemon.api), "ISSUER": issuer,
	})
}

func (v *visit) start(env []string) *apptest.Process { return apptest.Start(v.t, v.program, env) }

// provider starts an independent OpenID provider, and returns its issuer.
func provider(t *testing.T) string {
	t.Helper()
	issuer := fmt.Sprintf("http://127.0.0.1:%d", cachetest.FreePort(t))
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	p := apptest.StartFile(t, node, nil, "../../.tools/clients/dashboard/provider.mjs", issuer)
	cachetest.Eventually(t, "the provider listens", func() bool { return strings.Contains(p.Output(), "ready") })
	return issuer
}

// prefixed is a proxy that serves a statusd below /ops/.
func prefixed(t *testing.T, api string) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: api}
	proxy := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/ops")
		r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, "/ops")
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL + "/ops/"
}

// run runs a scenario, and does what it requests, until it ends.
func (v *visit) run(started *browsers, scenario string, env map[string]string) {
	v.t.Helper()
	b := started.take(v.t)
	passed := false
	defer func() {
		if passed {
			started.put(b)
		} else {
			b.end()
		}
	}()
	if err := b.send(map[string]any{"scenario": scenario, "env": env}); err != nil {
		v.t.Error(err)
	}
	if passed = v.serve(b); !passed {
		v.t.Errorf("%s: %v\n%s", scenario, b.cmd.Wait(), b.said.String())
	}
}

// serve does what a scenario requests, and reports whether it has passed.
func (v *visit) serve(b *browser) (passed bool) {
	for b.out.Scan() {
		var e errand
		if json.Unmarshal(b.out.Bytes(), &e) != nil || e.Ask == "" {
			v.t.Log(b.out.Text())
			continue
		}
		if e.Ask == "passed" {
			return true
		}
		_ = b.send(v.do(e)) // a scenario that has ended reports its own failure
	}
	return false
}

// do does what a scenario requests.
func (v *visit) do(e errand) map[string]any {
	switch e.Ask {
	case "apply":
		v.daemon.apply(v.t, v.execution(e))
	case "applyMany":
		var all []cache.Execution
		for _, e.Name = range e.Names {
			all = append(all, v.execution(e))
		}
		v.daemon.apply(v.t, all...)
	case "register":
		x := v.execution(e)
		if _, err := v.daemon.cache.Register(v.t.Context(), cache.Registration{ARN: x.ARN, Owner: x.Owner, StartDate: x.StartDate}); err != nil {
			v.t.Error(err)
		}
	case "flood":
		v.flood(e.Count)
	case "stop":
		v.daemon.Kill()
	case "freeze":
		v.daemon.redis.Freeze()
	case "thaw":
		v.daemon.redis.Thaw()
	case "start":
		env := append(environment(v.daemon.redis, ""), append([]string{"LISTEN_ADDR=" + v.daemon.api, "ADMIN_ADDR=" + v.daemon.admin}, v.env...)...)
		v.daemon.Process = v.start(env)
	case "revoke":
		if _, err := v.daemon.keys.Revoke(v.t.Context(), e.Name[:len("csk_live_")+8]); err != nil {
			v.t.Error(err)
		}
	case "key":
		secret, _, err := v.daemon.keys.Create(v.t.Context(), apikeys.Key{Owner: e.Owner, Name: "another", Scope: apikeys.ScopeReadAll})
		if err != nil {
			v.t.Error(err)
		}
		return map[string]any{"key": secret}
	default:
		v.t.Errorf("a scenario requests %q", e.Ask)
	}
	return map[string]any{}
}

// floodEvery is how often the executions of a flood change, ten at a time: 200 a second.
const floodEvery = 50 * time.Millisecond

// flood lets executions begin and end.
func (v *visit) flood(changes int) {
	tick := time.NewTicker(floodEvery)
	defer tick.Stop()
	for done := 0; done < changes; done += 10 {
		<-tick.C
		var all []cache.Execution
		for i := range 5 {
			n := len(v.started) + i
			all = append(all, v.execution(errand{Name: fmt.Sprintf("new-%d", n), Status: "RUNNING"}))
			all = append(all, v.execution(errand{Name: fmt.Sprintf("run-%d", n%300), Status: "FAILED", Message: "E: x", Attempt: n / 300}))
		}
		v.daemon.apply(v.t, all...)
	}
}

// execution is the state of an execution that a scenario requests.
func (v *visit) execution(e errand) cache.Execution {
	arn, err := cache.ParseARN("arn:aws:states:us-east-1:123456789012:execution:Pipeline:" + e.Name)
	if err != nil {
		v.t.Fatal(err)
	}
	owner := e.Owner
	if owner == "" {
		owner = "ada"
	}
	x := cache.Execution{
		ARN: arn, Status: cache.Status(e.Status), StartDate: v.startOf(e), Completeness: cache.Complete, Owner: owner,
		Source: cache.FromEvent, RedriveCount: e.Attempt, Error: e.Error, ErrorMessage: e.Message,
	}
	if e.Expired {
		x.Completeness = cache.OutputExpired
	}
	if len(e.Labels) > 0 {
		x.Labels = e.Labels
	}
	if e.Output != "" {
		x.Output = []byte(e.Output)
	}
	if x.Status != cache.Running {
		x.StopDate = x.StartDate.Add(time.Minute)
	}
	return x
}

func (v *visit) startOf(e errand) time.Time {
	start, known := v.started[e.Name]
	if !known {
		ago := 3*time.Hour - time.Duration(len(v.started))*time.Second
		if e.Minutes > 0 {
			ago = time.Duration(e.Minutes) * time.Minute
		}
		start = time.Now().Add(-ago).Truncate(time.Second)
		v.started[e.Name] = start
	}
	return start
}
