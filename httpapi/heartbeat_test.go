package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/changes"
	"statuscache/cache/lists"
	"statuscache/httpapi/internal/waiting"
)

// heard notes when a client hears something.
type heard struct {
	*httptest.ResponseRecorder
	at []time.Time
}

func (h *heard) Write(b []byte) (int, error) {
	h.at = append(h.at, time.Now())
	return h.ResponseRecorder.Write(b)
}

// quietStream is a stream without events until a certain time.
func quietStream(ctx context.Context) (*events, *heard) {
	w := &heard{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	x := &exchange{server: &Server{metrics: newMetrics(prometheus.NewRegistry())}, w: w, r: r}
	e, _ := x.openStream()
	return e, w
}

// TestAQuietStreamShowsThatItIsAliveEveryNineSeconds: common read time-outs are 10 s.
func TestAQuietStreamShowsThatItIsAliveEveryNineSeconds(t *testing.T) {
	t.Parallel()
	for name, quiet := range map[string]func(context.Context, *events, *changes.Hub){
		"one execution": func(_ context.Context, e *events, hub *changes.Hub) {
			e.x.waiter = waiting.New(e.x.waker(), time.Now().Add(10*time.Minute))
			e.x.caller.ReadAll = true
			e.x.step = (&following{events: e, watch: hub.WatchFunc(e.x.waiter.Wake, "quiet"), newest: &cache.Record{}}).step
			if err := e.x.stepByStep(); err != nil {
				t.Error(err)
			}
		},
		"the overview": func(ctx context.Context, e *events, _ *changes.Hub) {
			_ = e.until(func(early <-chan time.Time) (bool, error) {
				select {
				case <-early:
					return false, nil
				case <-ctx.Done():
					return false, ctx.Err()
				}
			})
		},
		"the live feed": func(_ context.Context, e *events, _ *changes.Hub) {
			f := &feed{
				events: e,
				list:   func(context.Context, lists.Query) (lists.Page, error) { return lists.Page{}, nil },
				next: func(ctx context.Context, early <-chan time.Time) ([]*cache.Record, bool, error) {
					select {
					case <-early:
						return nil, false, nil
					case <-ctx.Done():
						return nil, false, ctx.Err()
					}
				},
			}
			_ = f.run(lists.Page{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				var n cachetest.Network
				b.Join(&n)
				c, err := cache.Open(cache.Options{URL: cachetest.BubbleURL, Prefix: "sc", Retention: time.Hour, Dial: n.Dial, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				e, w := quietStream(ctx)
				quiet(ctx, e, changes.Open(c))
				last := begun
				for _, at := range append(w.at, begun.Add(10*time.Minute)) {
					if silent := at.Sub(last); silent > 9*time.Second {
						t.Fatalf("silent for %v, after %v", silent, last.Sub(begun))
					}
					last = at
				}
				if n := strings.Count(w.Body.String(), ":\n\n"); n != 66 || !w.Flushed {
					t.Errorf("%d comments in 10 minutes, flushed: %v\n%s", n, w.Flushed, w.Body)
				}
			})
		})
	}
}
