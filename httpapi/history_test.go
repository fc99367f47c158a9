package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestNoClientSeesAVersionGoBack is row 40: histories of clients are recorded
// while an execution is redriven again and again and Redis fails in several ways.
// Each client shows what it has. The control is a history that does go back.
func TestNoClientSeesAVersionGoBack(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (s *service, fail func()){
		"primary dies": func(t *testing.T) (*service, func()) {
			servers := cachetest.Sentinel(t)
			s := newServiceOn(t, servers.URL())
			return s, servers.Primary.Kill
		},
		"redis freezes": func(t *testing.T) (*service, func()) {
			s := newService(t)
			return s, func() {
				s.redis.Freeze()
				time.AfterFunc(2*time.Second, s.redis.Thaw)
			}
		},
		"an old copy is put in charge": func(t *testing.T) (*service, func()) {
			s := newService(t)
			return s, func() { s.redis.Do("FLUSHALL") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, fail := start(t)
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
					for !done.Load() {
						histories[i].step(s, string(e.ARN), ada, i%3)
					}
				})
			}
			rewrite(t, s, e, name, fail)
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

// rewrite redrives an execution for a while, and has Redis fail on the way. After
// an old copy was put in charge, older states come again.
func rewrite(t *testing.T, s *service, e cache.Execution, name string, fail func()) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	begun, failed := time.Now(), false
	for attempt := 1; time.Since(begun) < 8*time.Second; attempt++ {
		<-tick.C
		if !failed && time.Since(begun) > time.Second {
			failed = true
			fail()
		}
		next := e
		if next.RedriveCount = attempt; name == "an old copy is put in charge" {
			if next.RedriveCount = 1000 + attempt; failed {
				next.RedriveCount = attempt // replayed from the beginning
			}
		}
		for try := 0; try < 500 && !s.cache.Apply(t.Context(), []cache.Execution{next})[0].Final(); try++ {
			<-tick.C
		}
	}
}

// history is the versions that one client was told.
type history struct {
	versions []cache.Version
	tag      string
}

func (h *history) add(v cache.Version) { h.versions = append(h.versions, v) }

func (h *history) backwards() (n int) {
	for i := 1; i < len(h.versions); i++ {
		if h.versions[i] < h.versions[i-1] {
			n++
		}
	}
	return n
}

// step asks once, by a poll, a long poll or a stream that goes on for a while.
func (h *history) step(s *service, arn, key string, way int) {
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
