package outage

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnOutageIsLoggedOnceAMinute: when a part is lost, each minute while it is, and when it
// is back, however often it is tried; the next outage is reported again.
func TestAnOutageIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := Part{Log: slog.New(slog.NewTextHandler(&log, nil)), Lost: "the part of Redis is lost", Back: "the part of Redis is back"}
		o.Is(nil)
		for range 10 * 150 { // two and a half minutes
			o.Is(errors.New("cut"))
			<-time.After(100 * time.Millisecond) // of the bubble
		}
		o.Is(nil)
		o.Is(nil)
		o.Is(errors.New("cut again"))
		text := log.String()
		if n := strings.Count(text, "the part of Redis is lost"); n != 4 {
			t.Errorf("reported %d times that it is lost, want 3 times and once more:\n%s", n, text)
		}
		if n := strings.Count(text, "the part of Redis is back"); n != 1 || !strings.Contains(text, "after=2m30s") {
			t.Errorf("reported %d times that it is back:\n%s", n, text)
		}
		if !strings.Contains(text, "since=1m0s") {
			t.Errorf("does not tell for how long:\n%s", text)
		}
	})
}
