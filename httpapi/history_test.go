package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestNoClientSeesAVersionGoBack: it records which versions clients receive while an execution
// is redriven again and again and Redis fails in several ways. Each client sends the version
// that it has, to each process in turn. The control is a history that does go back.
func TestNoClientSeesAVersionGoBack(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "redis-server")
	for name, start := range map[string]func(*testing.T) (all []*service, fail func(redrive func())){
		"primary dies": func(t *testing.T) ([]*service, func(func())) {
			servers := cachetest.Sentinel(t)
			s := newServiceWith(t, cache.Options{URL: servers.URL()})
			return []*service{s}, func(func()) { servers.Failover(); servers.Primary.Kill() }
		},
		"primary of a cluster dies": func(t *testing.T) ([]*service, func(func())) {
			servers := cachetest.Cluster(t)
			s := newServiceWith(t, cache.Options{URL: servers.URL()})
			return []*service{s}, func(func()) {
				servers.Failover()
				for _, p := range servers.Primaries {
					if p.Do("KEYS *:history*") != "*0" { // it has the execution
						p.Kill()
						return
					}
				}
				t.Error("no primary has the execution")
			}
		},
		"notifications are lost, then their connection": func(t *testing.T) ([]*service, func(func())) {
			redis, network := cachetest.Redis(t), &cachetest.Network{}
			s := newServiceWith(t, cache.Options{URL: redis.URL(), Dial: network.Dial, ReadLimit: redisLimit, WriteLimit: redisLimit})
			return []*service{newServiceOn(t, redis.URL()), s}, func(redrive func()) { // by the process that hears all
				network.Begin(cachetest.BlackHole)
				cachetest.Eventually(t, "that is noticed", func() bool { redrive(); return s.cache.DB().Ready() != nil })
				network.End()
				redis.Do("CLIENT KILL TYPE pubsub")
				cachetest.Eventually(t, "they come again", func() bool { redrive(); return s.cache.DB().Ready() == nil })
			}
		},
		"redis freezes": func(t *testing.T) ([]*service, func(func())) {
			s := newHastyService(t)
			return []*service{s}, func(func()) {
				s.redis.Freeze()
				defer s.redis.Thaw()
				cachetest.Eventually(t, "the near cache is off", func() bool { return s.cache.DB().Ready() != nil })
			}
		},
		"an old copy is put in charge": func(t *testing.T) ([]*service, func(func())) {
			s := newService(t)
			return []*service{s}, func(func()) {
				keys, err := s.keys.List(t.Context())
				s.redis.Do("FLUSHALL")
				cachetest.Eventually(t, "the keys are there again", func() bool {
					_, failed := s.keys.Import(t.Context(), keys)
					return err == nil && failed == nil
				})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, fail := start(t)
			s := all[0]
			ada := s.key("ada")
			e := running(t, "history", "ada")
			if name == "an old copy is put in charge" {
				e.RedriveCount = 1000 // later states are as if from before
			}
			s.apply(e)
			var done atomic.Bool
			var clients sync.WaitGroup
			histories := make([]history, 6)
			for i := range histories {
				clients.Go(func() {
					pace := time.NewTicker(10 * time.Millisecond) // leaves the processor to the others
					defer pace.Stop()
					for turn := 0; !done.Load(); turn++ {
						histories[i].step(all[turn%len(all)], string(e.ARN), ada, i%3)
						<-pace.C
					}
				})
			}
			rewrite(t, s, e, name, fail, histories)
			done.Store(true)
			clients.Wait()
			for i := range histories {
				h := &histories[i]
				if n := h.backwards(); n > 0 || len(h.versions) == 0 {
					t.Errorf("client %d went back %d times in %d answers", i, n, len(h.versions))
				}
			}
		})
	}
	control := history{versions: []cache.Version{"01795508364442-00001-1-2", "01795508364442-00000-1-2"}}
	if control.backwards() != 1 {
		t.Error("a history that goes back is not seen")
	}
}

// rewrite redrives an execution until every client has received it, makes Redis fail, and
// continues until every client has asked several times more. After an old copy has become the
// primary, older states come again.
func rewrite(t *testing.T, s *service, e cache.Execution, name string, fail func(redrive func()), clients []history) {
	t.Helper()
	const steps = 5
	attempt, failed := 0, false
	redrive := func() {
		attempt++
		next := e
		if next.RedriveCount = attempt; name == "an old copy is put in charge" && !failed {
			next.RedriveCount = 1000 + attempt // later it is replayed from the beginning
		}
		s.apply(next)
	}
	until := func(what string, met func(*history) bool) {
		cachetest.Eventually(t, what, func() bool {
			redrive()
			return !slices.ContainsFunc(pointers(clients), func(h *history) bool { return !met(h) })
		})
	}
	until("every client has received several", func(h *history) bool { return h.received.Load() >= steps })
	fail(redrive)
	failed = true
	redrive() // Redis is there again
	before := map[*history]int64{}
	for _, h := range pointers(clients) {
		before[h] = h.asked.Load()
	}
	until("every client has asked again", func(h *history) bool { return h.asked.Load() >= before[h]+steps })
}

func pointers(all []history) (p []*history) {
	for i := range all {
		p = append(p, &all[i])
	}
	return p
}

// history is the versions that one client received.
type history struct {
	versions        []cache.Version
	tag             string
	asked, received atomic.Int64 // how often
}

func (h *history) add(v cache.Version) {
	h.versions = append(h.versions, v)
	h.received.Add(1)
}

func (h *history) backwards() (n int) {
	for i := 1; i < len(h.versions); i++ {
		if h.versions[i] < h.versions[i-1] {
			n++
		}
	}
	return n
}

// step asks once, by a poll, a long poll or a stream that lasts for a while.
func (h *history) step(s *service, arn, key string, way int) {
	defer h.asked.Add(1)
	change := []func(*http.Request){header("Prefer", "none")}
	if h.tag != "" {
		change = append(change, header("If-None-Match", h.tag))
	}
	switch way {
	case 0, 1:
		got := s.askOnce("GET", statusPath+arn+[]string{"", "?wait=1"}[way], key, change...)
		if v, ok := cache.ParseVersion(strings.TrimPrefix(got.header.Get("ETag"), `"`)); ok && got.status == http.StatusOK {
			h.tag = got.header.Get("ETag")
			h.add(v)
		}
	case 2:
		stream := s.open(asIs, statusPath+arn, key, header("Last-Event-ID", h.tag))
		if stream.status != http.StatusOK {
			return
		}
		defer time.AfterFunc(time.Second, stream.close).Stop() // then it comes back
		for range 20 {
			id, _, _ := strings.Cut(strings.TrimPrefix(stream.next(), "id: "), "\n")
			v, ok := cache.ParseVersion(id)
			if !ok {
				break
			}
			h.tag = id
			h.add(v)
		}
		stream.close()
	}
}
