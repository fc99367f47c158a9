package httpapi

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/changes"
	"statuscache/cache/lists"
	"statuscache/cache/stats"
	"statuscache/cache/worklist"
	"statuscache/httpapi/certificate"
)

// TestMain runs more tests at once than there are processors, unless -parallel is given, because
// most of them wait.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "6") // it is a number
	}
	m.Run()
}

const (
	machine = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"
	pepper  = "pepper pepper pepper"
)

// Time limits for Redis and clients in tests. They promise nothing: a test shares its machine
// with others.
const (
	redisLimit = time.Minute
	askLimit   = 2 * time.Minute
)

// service is a server on a real Redis, or with -short on an embedded one, and a client of it.
type service struct {
	*Server
	t     testing.TB
	cache *cache.Cache
	keys  *apikeys.Keys
	stats *stats.Stats      // not refreshed in the background
	redis *cachetest.Server // nil: an embedded one, or several
	log   *cachetest.Log
	url   string
}

// testCertificate is a certificate that nobody trusts.
func testCertificate(t testing.TB) *certificate.Files {
	t.Helper()
	certFile, keyFile := cachetest.NewAuthority(t).Certificate("test")
	files, err := certificate.Load(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func newService(t testing.TB, change ...func(*Options)) *service {
	t.Helper()
	if testing.Short() {
		return newServiceOn(t, "redis://"+miniredis.RunT(t).Addr(), change...)
	}
	redis := cachetest.Redis(t)
	s := newServiceOn(t, redis.URL(), change...)
	s.redis = redis
	return s
}

// newServiceOn is newService for a Redis of any kind.
func newServiceOn(t testing.TB, url string, change ...func(*Options)) *service {
	t.Helper()
	return newServiceWith(t, cache.Options{URL: url, ReadLimit: redisLimit, WriteLimit: redisLimit}, change...)
}

// newHastyService is newService with the limits of production, for tests of a Redis
// that does not answer.
func newHastyService(t testing.TB, change ...func(*Options)) *service {
	t.Helper()
	redis := cachetest.Redis(t)
	s := newServiceWith(t, cache.Options{URL: redis.URL()}, change...)
	s.redis = redis
	return s
}

func newServiceWith(t testing.TB, store cache.Options, change ...func(*Options)) *service {
	t.Helper()
	log := &cachetest.Log{}
	store.Prefix, store.ReplicaAcks, store.Retention = "sc", cache.AutoAcks, 15*24*time.Hour
	store.Log, store.Metrics = slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	c, err := cache.Open(store)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(pepper), Log: store.Log})
	if err != nil {
		t.Fatal(err)
	}
	hub, statistics := changes.Open(c), stats.Open(c, nil)
	losses := worklist.NewLossDetector(c.DB(), worklist.LossOptions{Log: store.Log, Noticed: keys.Reassert})
	o := Options{
		Cache: c, Lists: lists.NewReader(c), Changes: hub, Trails: c, Outputs: worklist.New(c.DB(), nil), Typical: statistics, Statistics: statistics, Overdue: statistics, Keys: keys, Links: keys, MaxWait: time.Hour, Retention: 15 * 24 * time.Hour, RateLimit: 200, Version: "test",
		Parts: []Part{{Name: "redis", Ready: c.DB().Ready}},
		Log:   slog.New(slog.NewTextHandler(log, nil)), AccessLog: log, LogJSON: true, Metrics: prometheus.NewRegistry(),
	}
	for _, f := range change {
		f(&o)
	}
	s := &service{Server: New(o), t: t, cache: c, keys: keys, stats: statistics, log: log}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	running.Go(func() { _ = hub.Run(ctx) })
	running.Go(func() { _ = losses.Run(ctx) })
	running.Go(func() { _ = keys.Run(ctx) })
	running.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = c.Close()
	})
	s.url = "http://" + s.listen()
	cachetest.Eventually(t, "the change feed works", func() bool { return c.DB().Ready() == nil })
	return s
}

// listen serves on a socket with the bounds of production, until the test ends.
func (s *service) listen() (addr string) {
	s.t.Helper()
	public := listenLocal(s.t)
	s.serveOn(public)
	return public.Addr().String()
}

func listenLocal(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveOn serves on a listener until the test ends.
func (s *service) serveOn(public net.Listener) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, public, nil, 5*time.Minute) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// key makes an API key and returns its secret.
func (s *service) key(owner string, change ...func(*apikeys.Key)) string {
	s.t.Helper()
	k := apikeys.Key{Name: "test", Owner: owner, Scope: apikeys.ScopeRead}
	for _, f := range change {
		f(&k)
	}
	var secret string
	cachetest.Eventually(s.t, "a key is made", func() (made bool) {
		var err error
		secret, _, err = s.keys.Create(s.t.Context(), k)
		return err == nil
	})
	return secret
}

func scope(scope apikeys.Scope) func(*apikeys.Key) {
	return func(k *apikeys.Key) { k.Scope = scope }
}

func arn(t testing.TB, name string) cache.ARN {
	t.Helper()
	a, err := cache.ParseARN(machine + name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// succeeded is the end of an execution that began a minute ago.
func succeeded(t testing.TB, name, owner, output string) cache.Execution {
	start := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	return cache.Execution{
		ARN: arn(t, name), Status: cache.Succeeded, StartDate: start, StopDate: start.Add(25 * time.Second),
		Completeness: cache.Complete, Output: []byte(output), Owner: owner, Source: cache.FromEvent,
	}
}

func running(t testing.TB, name, owner string) cache.Execution {
	return cache.Execution{
		ARN: arn(t, name), Status: cache.Running, StartDate: time.Now().Truncate(time.Millisecond),
		Completeness: cache.Complete, Owner: owner, Source: cache.FromEvent,
	}
}

func (s *service) apply(executions ...cache.Execution) {
	s.t.Helper()
	cachetest.Eventually(s.t, "what happened is stored", func() bool {
		return !slices.ContainsFunc(s.cache.Apply(s.t.Context(), executions), func(o cache.Outcome) bool { return !o.Final() })
	})
}

// asIs follows no redirection and unpacks nothing.
var asIs = &http.Transport{DisableCompression: true}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask is askOnce for a client that obeys Retry-After: Redis may be slow on a busy machine.
func (s *service) ask(method, target, token string, change ...func(*http.Request)) answer {
	s.t.Helper()
	for try := 1; ; try++ {
		got := s.askOnce(method, target, token, change...)
		if got.status != http.StatusServiceUnavailable || try == 20 {
			return got
		}
	}
}

// askOnce sends a request, with exactly the given target.
func (s *service) askOnce(method, target, token string, change ...func(*http.Request)) answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), askLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	path, query, _ := strings.Cut(target, "?")
	r.URL.Opaque, r.URL.RawQuery = path, query // not parsed, not encoded
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(r)
	}
	got, err := asIs.RoundTrip(r)
	if err != nil && s.t.Context().Err() != nil {
		return answer{} // nobody waits for it any more
	} else if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	if err != nil && s.t.Context().Err() != nil {
		return answer{}
	} else if err != nil {
		s.t.Fatal(err)
	}
	a := answer{got.StatusCode, got.Header, string(body)}
	if u, err := url.Parse(path); err == nil && method != http.MethodOptions {
		if text, ok := statusText(u); ok {
			path = statusPath + text
		}
		if err := conforms(r, path, a); err != nil {
			s.t.Errorf("%s %s breaks the contract: %v\n%+v", method, target, err, a)
		}
	}
	return a
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func jsonBody(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(strings.NewReader(body))
	}
}

// counter returns the value of a counter without labels.
func (s *service) counter(name string) float64 {
	s.t.Helper()
	families, err := s.options.Metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}
