package cache

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/cachetest"
)

// logged is what a process has logged so far.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// saidOnceAMinute reports whether a sentence was logged, and no more often than once in
// each minute since then.
func saidOnceAMinute(l *logged, begun time.Time, sentence string) bool {
	n := strings.Count(l.String(), sentence)
	return n > 0 && n <= 1+int(time.Since(begun)/time.Minute)
}

// misfitGauge returns statuscache_misconfigured of a setting.
func misfitGauge(t *testing.T, r *prometheus.Registry, setting string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "statuscache_misconfigured" && m.GetLabel()[0].GetValue() == setting {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no statuscache_misconfigured of %s", setting)
	return 0
}

// TestAWrongPepperIsNoticed while a process runs and when a key is to be created, whichever of the two processes was there first.
func TestAWrongPepperIsNoticed(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	var log logged
	metrics := prometheus.NewRegistry()
	other := func(o *Options) {
		o.KeyPepper, o.Log, o.Metrics = []byte("another pepper of ours"), slog.New(slog.NewTextHandler(&log, nil)), metrics
	}
	begun := time.Now()
	right, wrong := openIdle(t, url), openTest(t, url, other) // the wrong one runs before there is any key
	if compared, err := wrong.CheckPepper(t.Context()); compared || err != nil {
		t.Errorf("without a key: %v, %v", compared, err)
	}
	_, first, err := right.CreateKey(t.Context(), Key{Name: "first", Owner: "ada", Scope: ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "the wrong pepper is noticed", func() bool {
		return strings.Contains(strings.Join(wrong.Misfits(), "\n"), "API_KEY_PEPPER is not the one")
	})
	if misfitGauge(t, metrics, "API_KEY_PEPPER") != 1 || !saidOnceAMinute(&log, begun, "API keys are refused") || strings.Contains(log.String(), "another pepper") {
		t.Errorf("gauge %v, log:\n%s", misfitGauge(t, metrics, "API_KEY_PEPPER"), log.String())
	}
	if _, _, err := wrong.CreateKey(t.Context(), Key{Name: "second", Owner: "ada", Scope: ScopeRead}); !errors.Is(err, ErrPepper) {
		t.Errorf("a key that no process accepts is created: %v", err)
	}
	if compared, err := right.CheckPepper(t.Context()); !compared || err != nil {
		t.Errorf("the control, with the right pepper: %v, %v", compared, err)
	}
	if _, _, err := right.CreateKey(t.Context(), Key{Name: "third", Owner: "ada", Scope: ScopeRead}); err != nil {
		t.Errorf("the control, with the right pepper: %v", err)
	}
	changesPepper(t, right, wrong, first.Prefix)
	cachetest.Eventually(t, "the pepper is right now", func() bool { return len(wrong.Misfits()) == 0 })
}

// TestTheFingerprintOfThePepperComesBack after Redis was emptied and the keys imported, once
// one of them was found.
func TestTheFingerprintOfThePepperComesBack(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	secret, key, err := c.CreateKey(t.Context(), Key{Name: "first", Owner: "ada", Scope: ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	s.Do("FLUSHALL")
	if _, err := c.ImportKeys(t.Context(), []Key{key}); err != nil {
		t.Fatal(err)
	}
	if compared, err := c.CheckPepper(t.Context()); compared || err != nil {
		t.Errorf("before a key was found: %v, %v", compared, err)
	}
	if _, err := c.FindKey(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "the fingerprint is back", func() bool {
		compared, err := c.CheckPepper(t.Context())
		return compared && err == nil
	})
}

// changesPepper revokes all keys of one pepper, so that another may take its place.
func changesPepper(t *testing.T, before, after *Cache, first string) {
	t.Helper()
	keys, err := before.ListKeys(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Prefix != first {
		t.Fatalf("%+v, %v", keys, err)
	}
	for _, k := range keys {
		if _, err := before.RevokeKey(t.Context(), k.Prefix); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := after.CreateKey(t.Context(), Key{Name: "fourth", Owner: "ada", Scope: ScopeRead}); err != nil {
		t.Errorf("all keys of the pepper before are revoked: %v", err)
	}
}

// TestAnEvictionPolicyThatChangesIsNoticed by a user who may do no more than is needed.
func TestAnEvictionPolicyThatChangesIsNoticed(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (string, []*cachetest.Server){
		"one node": func(t *testing.T) (string, []*cachetest.Server) {
			s := cachetest.Redis(t)
			return s.URL(), []*cachetest.Server{s}
		},
		"cluster": func(t *testing.T) (string, []*cachetest.Server) {
			c := cachetest.Cluster(t).NoFailover()
			return c.URL(), c.Servers()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, servers := start(t)
			var log logged
			metrics, begun := prometheus.NewRegistry(), time.Now()
			c := openTest(t, as(url, "statusd", leastRules(t), servers...), func(o *Options) {
				o.Log, o.Metrics = slog.New(slog.NewTextHandler(&log, nil)), metrics
			})
			for _, policy := range []string{"allkeys-lru", "volatile-lfu"} {
				servers[0].Do("CONFIG SET maxmemory-policy " + policy)
				cachetest.Eventually(t, policy+" is noticed", func() bool {
					told := strings.Join(c.Misfits(), "\n")
					return strings.Contains(told, "maxmemory-policy "+policy) && strings.Contains(told, "set it to noeviction")
				})
			}
			if misfitGauge(t, metrics, "maxmemory-policy") != 1 {
				t.Error("the metric does not say so")
			}
			servers[0].Do("CONFIG SET maxmemory-policy noeviction")
			cachetest.Eventually(t, "the policy is right again", func() bool { return len(c.Misfits()) == 0 })
			cachetest.Eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "is right again") })
			if !saidOnceAMinute(&log, begun, "Redis may evict records: its maxmemory-policy was changed") {
				t.Errorf("not one line that the policy was changed:\n%s", log.String())
			}
		})
	}
}

// TestAnUnheardRedisSaysSinceWhen, and what to do, to everybody: no address.
func TestAnUnheardRedisSaysSinceWhen(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	s.Kill()
	var told interface{ Public() string }
	cachetest.Eventually(t, "Redis is missed for a second and more", func() bool {
		return errors.As(c.DB().Ready(), &told) && !strings.Contains(told.Public(), "for 0s")
	})
	for _, words := range []string{"not available for ", ", since 20", "Redis does not answer", "; see that Redis runs and that statusd can reach the address in REDIS_URL"} {
		if !strings.Contains(told.Public(), words) || strings.Contains(told.Public(), s.Addr) {
			t.Errorf("%q, want %q and no address", told.Public(), words)
		}
	}
}
