package cache

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestCheckRefusesEviction: the error names the policy and the fix.
func TestCheckRefusesEviction(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openIdle(t, s.URL())
	for policy, fit := range map[string]bool{
		"noeviction": true, "volatile-ttl": true,
		"allkeys-lru": false, "allkeys-lfu": false, "allkeys-random": false,
		"volatile-lru": false, "volatile-lfu": false, "volatile-random": false,
	} {
		s.Do("CONFIG SET maxmemory-policy " + policy)
		err := c.db.Check(t.Context())
		if fit != (err == nil) || !fit && !errors.Is(err, ErrUnfit) {
			t.Errorf("%s: %v", policy, err)
		}
		if !fit && (!strings.Contains(err.Error(), policy) || !strings.Contains(err.Error(), "CONFIG SET maxmemory-policy noeviction")) {
			t.Errorf("%s: the error does not name it and the fix: %v", policy, err)
		}
	}
}

func TestCheckNeedsARedis(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openIdle(t, s.URL())
	s.Kill()
	if err := c.db.Check(t.Context()); err == nil || errors.Is(err, ErrUnfit) {
		t.Errorf("check without a Redis: %v", err)
	}
}

// fullRedis starts a Redis with memory for about 150 of the records that bulky
// makes.
func fullRedis(t *testing.T, policy string) *cachetest.Server {
	t.Helper()
	return cachetest.Redis(t, "--maxmemory", "4mb", "--maxmemory-policy", policy)
}

// bulky returns an execution whose record takes 15 KB: its output cannot be
// compressed.
func bulky(t *testing.T, i int) Execution {
	t.Helper()
	noise := make([]byte, 15_000)
	_, _ = rand.Read(noise) // never fails (crypto/rand)
	return succeeded(testARN(t, fmt.Sprint("bulky-", i)), now(), `"`+base64.StdEncoding.EncodeToString(noise)+`"`)
}

// applyBulky applies more than fits and returns what was confirmed.
func applyBulky(t *testing.T, c *Cache) (confirmed []ARN, refused int) {
	t.Helper()
	for i := range 300 {
		e := bulky(t, i)
		if c.Apply(t.Context(), []Execution{e})[0].Final() {
			confirmed = append(confirmed, e.ARN)
		} else {
			refused++
		}
	}
	return confirmed, refused
}

// TestFullRedis: what does not fit is not confirmed, so it stays in the
// queue; everything else is there and can be read. In the control Redis evicts.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	s := fullRedis(t, "noeviction")
	c := openIdle(t, s.URL())
	confirmed, refused := applyBulky(t, c)
	if len(confirmed) < 50 || refused < 50 {
		t.Fatalf("%d confirmed and %d refused: Redis was not filled", len(confirmed), refused)
	}
	if n := lost(t, c, confirmed); n > 0 {
		t.Errorf("%d of %d are lost", n, len(confirmed))
	}
	s.Do("CONFIG SET maxmemory 1") // otherwise what clients release makes room for some more
	late := bulky(t, 300)
	if o := c.Apply(t.Context(), []Execution{late})[0]; o.Err == nil || !strings.Contains(o.Err.Error(), "OOM") {
		t.Errorf("the reason is %v", o.Err)
	}
	if r := stored(t, c, late.ARN); r != nil {
		t.Errorf("refused, but there is a record: %s", r.Status)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("the ping that ingest relies on says that writes are taken")
	}
	s.Do("CONFIG SET maxmemory 0")
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("with free memory again: %v", err)
	}
	if got := apply(t, c, late); got[0] != Applied {
		t.Errorf("with free memory again: %s", got[0])
	}

	evicting := openIdle(t, fullRedis(t, "allkeys-lru").URL())
	confirmed, refused = applyBulky(t, evicting)
	if n := lost(t, evicting, confirmed); n == 0 {
		t.Errorf("with eviction %d were confirmed, %d refused and none lost: nothing was shown", len(confirmed), refused)
	}
}

// TestEvictionTakesTheStoppedFirst: volatile-ttl keeps every running
// execution, the policies that Check refuses do not. Redis looks at a sample, of five
// if nothing else is set, so that holds where, as usual, most executions have stopped;
// here the sample is as good as all, which leaves nothing to luck.
func TestEvictionTakesTheStoppedFirst(t *testing.T) {
	t.Parallel()
	for policy, safe := range map[string]bool{"volatile-ttl": true, "volatile-random": false} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := fullRedis(t, policy)
			s.Do("CONFIG SET maxmemory-samples 64")
			c := openIdle(t, s.URL())
			var all []ARN
			for i := range 40 {
				e := running(testARN(t, fmt.Sprint("running-", i)), now())
				all = append(all, e.ARN)
				apply(t, c, e)
			}
			confirmed, refused := applyBulky(t, c)
			if evicted := lost(t, c, confirmed); evicted < 50 || refused > 0 {
				t.Fatalf("%d evicted, %d refused: Redis was not filled", evicted, refused)
			}
			if n := lost(t, c, all); safe != (n == 0) {
				t.Errorf("%d of %d running executions were evicted", n, len(all))
			}
		})
	}
}
