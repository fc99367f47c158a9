package diagnose

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// problems opens a cache and returns what is wrong with its Redis.
func problems(t *testing.T, o cache.Options) (found []Finding, unchecked int) {
	t.Helper()
	o.Prefix, o.Retention, o.ReadLimit, o.WriteLimit = "sc", time.Hour, redisTimeout, redisTimeout
	c, err := cache.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, f := range Run(t.Context(), c, openKeys(t, c, "")) {
		switch {
		case f.Failed():
			unchecked++
		case f.Unchecked():
		case !f.OK():
			found = append(found, f)
		case f.Check == "" || f.Detail == "":
			t.Errorf("says nothing: %+v", f)
		}
	}
	return found, unchecked
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	healthy := cachetest.Redis(t, "--appendonly", "yes")
	if found, unchecked := problems(t, cache.Options{URL: healthy.URL(), ReplicaAcks: cache.AutoAcks}); len(found) > 0 || unchecked > 0 {
		t.Errorf("the control, in which all is well: %+v, %d not checked", found, unchecked)
	}
	for name, c := range map[string]struct {
		args       []string
		acks       int
		check, fix string
	}{
		"no persistence": {nil, 0, "Redis persistence", "appendonly yes"},
		"evicts":         {[]string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, 0, "Redis eviction", "CONFIG SET maxmemory-policy noeviction"},
		"no replica":     {[]string{"--appendonly", "yes"}, 1, "Redis replicas", "REDIS_REPLICA_ACKS=auto"},
		"full":           {[]string{"--appendonly", "yes", "--maxmemory", "1mb"}, 0, "Redis memory", "maxmemory"},
		"no channels":    {[]string{"--appendonly", "yes"}, 0, "Redis user", "ACL SETUSER default &sc:*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := cachetest.Redis(t, c.args...)
			if c.check == "Redis user" {
				redis.Do("ACL SETUSER default resetchannels")
			}
			found, _ := problems(t, cache.Options{URL: redis.URL(), ReplicaAcks: c.acks})
			if len(found) != 1 || found[0].Check != c.check || !strings.Contains(found[0].Fix, c.fix) {
				t.Errorf("found %+v, want %s with the fix %q", found, c.check, c.fix)
			}
		})
	}
}

func TestDiagnoseUnreachable(t *testing.T) {
	t.Parallel()
	found, unchecked := problems(t, cache.Options{URL: "redis://127.0.0.1:1"})
	if len(found) != 1 || found[0].Check != "Redis" || found[0].Fix == "" || unchecked != len(primaryChecks)+4 {
		t.Errorf("found %+v, %d not checked", found, unchecked)
	}
}

func TestDiagnoseOnePrimary(t *testing.T) {
	t.Parallel()
	db, err := redisdb.Open(redisdb.Options{URL: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for name, c := range map[string]struct {
		look func(*redisdb.DB, primary) Finding
		p    primary
		ok   bool
	}{
		"clock":            {diagnoseClock, primary{skew: -mostSkew}, true},
		"clock behind":     {diagnoseClock, primary{skew: -mostSkew - 1}, false},
		"snapshots":        {diagnosePersistence, primary{info: redisdb.Info{"rdb_saves": "1"}}, true},
		"replicas hold it": {diagnosePersistence, primary{info: redisdb.Info{"rdb_saves": "0", "connected_slaves": "1"}}, true},
		"append fails":     {diagnosePersistence, primary{info: redisdb.Info{"aof_enabled": "1", "aof_last_write_status": "err"}}, false},
		"snapshot fails":   {diagnosePersistence, primary{info: redisdb.Info{"rdb_saves": "1", "rdb_last_bgsave_status": "err"}}, false},
		"machine full":     {diagnoseMemory, primary{info: redisdb.Info{"used_memory": "81", "total_system_memory": "100"}}, false},
		"memory not known": {diagnoseMemory, primary{info: redisdb.Info{"used_memory": "81"}}, true},
		"version":          {diagnoseVersion, primary{info: redisdb.Info{"redis_version": "6.0.9"}}, false},
	} {
		f := c.look(db, c.p)
		if f.OK() != c.ok || !c.ok && f.Fix == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestAgeOfEvents: how long events wait is reported by those that were taken.
func TestAgeOfEvents(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	if f := diagnoseEvents(t.Context(), c, true); !f.Unchecked() || f.Failed() {
		t.Errorf("without an event: %+v", f)
	}
	at := now()
	fresh, late := running("fresh", at.Add(-time.Minute)), running("late", at)
	fresh.EmittedAt, fresh.ReceivedAt = at.Add(-time.Second), at
	late.EmittedAt, late.ReceivedAt = at.Add(-time.Hour), at
	apply(t, c, fresh)
	if f := diagnoseEvents(t.Context(), c, true); !f.OK() || !strings.Contains(f.Detail, "1s old") {
		t.Errorf("a fresh one: %+v", f)
	}
	replayed := running("replayed", now())
	replayed.Source, replayed.EmittedAt, replayed.ReceivedAt = cache.FromReplay, now().Add(-time.Hour), now()
	apply(t, c, replayed)
	if f := diagnoseEvents(t.Context(), c, true); !f.OK() {
		t.Errorf("a replay is old by nature: %+v", f)
	}
	apply(t, c, late)
	if f := diagnoseEvents(t.Context(), c, true); f.OK() || !strings.Contains(f.Problem, "1h0m") || f.Fix == "" {
		t.Errorf("a late one: %+v", f)
	}
}

// TestSavePointsCount before the first snapshot is taken; where Redis does not tell of
// them it is not said that there are none.
func TestSavePointsCount(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t, "--save", "900 1")
	if found, unchecked := problems(t, cache.Options{URL: redis.URL(), ReplicaAcks: cache.AutoAcks}); len(found) > 0 || unchecked > 0 {
		t.Errorf("with save points: %+v, %d not checked", found, unchecked)
	}
	redis.Do("ACL SETUSER default -config")
	c := openIdle(t, redis.URL())
	f := findingOf(t, c, "Redis persistence")
	if !f.Unchecked() || f.Failed() {
		t.Errorf("where CONFIG is forbidden: %+v", f)
	}
	for _, words := range []string{"not checked, because the Redis user default is not allowed to run CONFIG GET", "not known whether Redis saves snapshots"} {
		if !strings.Contains(f.Detail, words) {
			t.Errorf("%q does not say %q", f.Detail, words)
		}
	}
}

// findingOf returns what one check has found.
func findingOf(t *testing.T, c *cache.Cache, check string) Finding {
	t.Helper()
	return findingWith(t, c, openKeys(t, c, ""), check)
}

func findingWith(t *testing.T, c *cache.Cache, keys *apikeys.Keys, check string) Finding {
	t.Helper()
	for _, f := range Run(t.Context(), c, keys) {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("there is no check %q", check)
	return Finding{}
}

// TestChecksThatTheRedisOfALaptopCannotAnswerAreNotOK where it does not say what it is.
func TestChecksThatTheRedisOfALaptopCannotAnswerAreNotOK(t *testing.T) {
	t.Parallel()
	c := openIdle(t, "redis://"+miniredis.RunT(t).Addr())
	for _, check := range []string{"Redis version", "Redis eviction", "Redis persistence", "age of events", "owners"} {
		if f := findingOf(t, c, check); f.OK() || f.Failed() || !strings.Contains(f.Detail, "not checked, because") {
			t.Errorf("%+v", f)
		}
	}
}

// TestAMissedReplicaIsFound: with REDIS_REPLICA_ACKS=auto, a primary that has had a replica
// within the hour confirms nothing without one. Looking changes nothing.
func TestAMissedReplicaIsFound(t *testing.T) {
	t.Parallel()
	primary := cachetest.Redis(t, "--appendonly", "yes")
	auto := func(o *cache.Options) { o.ReplicaAcks = cache.AutoAcks }
	looking := openIdle(t, primary.URL(), auto)
	if f := findingOf(t, looking, "Redis replicas"); !f.OK() {
		t.Errorf("one that never had a replica: %+v", f)
	}
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := cachetest.Redis(t, "--replicaof", host+" "+port)
	c := openIdle(t, primary.URL(), auto)
	cachetest.Eventually(t, "the primary must have its writes confirmed", func() bool {
		demands, err := c.DB().Demands(t.Context())
		return err == nil && demands[primary.Addr].Acks == 1
	})
	if f := findingOf(t, looking, "Redis replicas"); !f.OK() || f.Detail != "1 connected" {
		t.Errorf("with its replica: %+v", f)
	}
	replica.Kill()
	cachetest.Eventually(t, "the replica is gone", func() bool { return primary.Info("connected_slaves") == "0" })
	f := findingOf(t, looking, "Redis replicas")
	if f.OK() || f.Unchecked() || !strings.Contains(f.Problem, "the Redis replica is not connected") || !strings.Contains(f.Fix, "REDIS_REPLICA_ACKS=0") {
		t.Errorf("without it: %+v", f)
	}
	primary.Do("DEL sc:{0}:replica")
	findingOf(t, looking, "Redis replicas")
	if n, err := looking.DB().Writers.Exists(t.Context(), "sc:{0}:replica").Result(); n != 0 || err != nil {
		t.Error("looking has changed something")
	}
}

// TestTheWorstOfSeveralPrimariesIsFound, and a check that failed on one keeps its words.
func TestTheWorstOfSeveralPrimariesIsFound(t *testing.T) {
	t.Parallel()
	says := func(findings ...Finding) Finding {
		primaries := make([]primary, len(findings))
		next := 0
		return worst(nil, primaryCheck{"it", func(*redisdb.DB, primary) Finding { next++; return findings[next-1] }}, primaries)
	}
	ok, wrong, failed, undecided := Finding{Detail: "fine"}, Finding{Problem: "bad", Fix: "repair"}, NotChecked("", "it failed"), Undecided("", "it is silent")
	for name, c := range map[string]struct {
		got  Finding
		want string
	}{
		"all fine":  {says(ok, ok), "fine"},
		"one wrong": {says(failed, wrong, ok), ": bad"},
		"one fails": {says(ok, undecided, failed), "not checked, because it failed"},
		"silent":    {says(ok, undecided, ok), "not checked, because it is silent"},
	} {
		if text := c.got.Problem + c.got.Detail; text != c.want || c.got.Check != "it" {
			t.Errorf("%s: %+v, want %q", name, c.got, c.want)
		}
	}
}

const machine = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"

func running(name string, start time.Time) cache.Execution {
	return cache.Execution{ARN: cache.ARN(machine + name), Status: cache.Running, StartDate: start, Completeness: cache.Complete, Source: cache.FromEvent}
}

// now is the present with the precision of an event.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }

// redisTimeout is how long Redis may take in a test that is not about such limits.
const redisTimeout = 30 * time.Second

// openIdle opens a cache that does not listen to changes.
func openIdle(t *testing.T, url string, change ...func(*cache.Options)) *cache.Cache {
	t.Helper()
	o := cache.Options{URL: url, Prefix: "sc", Retention: time.Hour, ReadLimit: redisTimeout, WriteLimit: redisTimeout, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	c, err := cache.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// openKeys opens the API keys in the Redis of a cache with a pepper, empty for none.
func openKeys(t *testing.T, c *cache.Cache, pepper string) *apikeys.Keys {
	t.Helper()
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(pepper), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func apply(t *testing.T, c *cache.Cache, executions ...cache.Execution) {
	t.Helper()
	for _, o := range c.Apply(t.Context(), executions) {
		if o.Err != nil {
			t.Fatalf("apply: %v", o.Err)
		}
	}
}

// TestOwnersAreFoundMissing: most of the newest executions can be read by operators only.
func TestOwnersAreFoundMissing(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	old := now().Add(-time.Hour)
	for _, name := range []string{"a", "b", "c", "d"} {
		apply(t, c, running(name, old))
		setSeen(t, c, machine+name, old)
	}
	if f := diagnoseOwners(t.Context(), c, true); f.OK() || !strings.Contains(f.Problem, machine) || !strings.Contains(f.Fix, "OWNER_PATH") {
		t.Errorf("%+v", f)
	}
}

// TestAWrongPepperIsFound: the API keys in Redis were created with another one.
func TestAWrongPepperIsFound(t *testing.T) {
	t.Parallel()
	c := openIdle(t, "redis://"+miniredis.RunT(t).Addr())
	right, wrong := openKeys(t, c, "pepper pepper pepper"), openKeys(t, c, "another pepper of ours")
	if f := findingWith(t, c, wrong, "API key pepper"); !f.Unchecked() || f.Failed() {
		t.Errorf("without a key: %+v", f)
	}
	if _, _, err := right.Create(t.Context(), apikeys.Key{Name: "first", Owner: "ada", Scope: apikeys.ScopeRead}); err != nil {
		t.Fatal(err)
	}
	if f := findingWith(t, c, wrong, "API key pepper"); f.OK() || f.Unchecked() || !strings.Contains(f.Fix, "set API_KEY_PEPPER") {
		t.Errorf("with another one: %+v", f)
	}
	if f := findingWith(t, c, right, "API key pepper"); !f.OK() {
		t.Errorf("the control, with the right one: %+v", f)
	}
}
