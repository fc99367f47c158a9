package fairness

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/httpapi/internal/envelope"
)

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewRateLimits(10)
		bucket := l.Bucket()
		take := func() (http.Header, error) {
			h := http.Header{}
			return h, l.Take(h, bucket, time.Now())
		}
		for n := range 20 {
			h, err := take()
			if want := fmt.Sprintf(`"default";r=%d;t=%d`, 19-n, (n+10)/10); err != nil || h["Ratelimit"][0] != want {
				t.Fatalf("request %d: %s, %v, want %s", n, h["Ratelimit"], err, want)
			}
		}
		if _, err := take(); err == nil {
			t.Fatal("more than the burst")
		} else if p := envelope.ErrorOf(err); p.Status != 429 || p.RetryAfter <= 0 || p.RetryAfter > 100*time.Millisecond {
			t.Errorf("%+v", p)
		}
		<-time.After(100 * time.Millisecond)
		if _, err := take(); err != nil {
			t.Errorf("after the time that was named: %v", err)
		}
		if err := l.Take(http.Header{}, l.Bucket(), time.Now()); err != nil {
			t.Errorf("another caller: %v", err)
		}
	})
}
