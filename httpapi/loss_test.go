package httpapi

import (
	"testing"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// TestOwnersStaySeparateAfterALoss: Redis is emptied, and then comes back with an old
// copy. What is learnt again without its owner is for operators only.
func TestOwnersStaySeparateAfterALoss(t *testing.T) {
	cachetest.SkipShort(t, "Redis")
	t.Parallel()
	s := newService(t)
	ada, eve := s.key("ada"), s.key("eve")
	operator, _, err := s.keys.Create(t.Context(), apikeys.Key{Owner: "op", Scope: apikeys.ScopeReadAll})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.keys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	early, late := succeeded(t, "early", "ada", `1`), succeeded(t, "late", "eve", `2`)
	expect := func(when string, want map[string][3]int) {
		t.Helper()
		for name, codes := range want {
			e := map[string]cache.Execution{"early": early, "late": late}[name]
			for i, key := range []string{ada, eve, operator} {
				if got := s.ask("GET", statusPath+string(e.ARN)+"?wait=0", key); got.status != codes[i] {
					t.Errorf("%s: %s requested with key %d: %d, want %d", when, name, i, got.status, codes[i])
				}
			}
		}
	}
	s.apply(early)
	s.redis.Do("SAVE")
	s.apply(late)
	expect("at first", map[string][3]int{"early": {200, 403, 200}, "late": {403, 200, 200}})

	s.redis.Do("FLUSHALL")
	if _, err := s.keys.Import(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "nothing is known", func() bool { return s.ask("GET", statusPath+string(late.ARN)+"?wait=0", operator).status == 404 })
	expect("emptied", map[string][3]int{"early": {404, 404, 404}, "late": {404, 404, 404}})
	for _, e := range []cache.Execution{early, late} {
		e.Owner, e.Source = "", cache.FromDescribe
		s.apply(e)
	}
	expect("learnt again without owners", map[string][3]int{"early": {403, 403, 200}, "late": {403, 403, 200}})

	s.redis.Kill()
	s.redis.Start() // with what SAVE has left
	cachetest.Eventually(t, "the old copy is read", func() bool {
		return s.ask("GET", statusPath+string(late.ARN)+"?wait=0", operator).status == 404 && s.cache.DB().Ready() == nil
	})
	expect("with the old copy", map[string][3]int{"early": {200, 403, 200}, "late": {404, 404, 404}})
}
