package ingest

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAFailureThatRecursIsLoggedOnceAMinute: it is met twice a second for three
// minutes, and is over then.
func TestAFailureThatRecursIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := recurring{log: slog.New(slog.NewTextHandler(&out, nil)), text: "it fails", over: "it works again"}
		for range 2 * 3 * 60 {
			r.is(errors.New("refused"))
			<-time.After(time.Second / 2) // of the bubble
		}
		r.is(nil)
		r.is(nil)
		if fails, works := strings.Count(out.String(), "it fails"), strings.Count(out.String(), "it works again"); fails != 3 || works != 1 {
			t.Errorf("%d lines that it fails, want 3, and %d that it works, want 1:\n%s", fails, works, &out)
		}
		r.is(errors.New("refused")) // less than a minute after the latest line
		r.is(nil)
		if n := strings.Count(out.String(), "\n"); n > 6 {
			t.Errorf("%d lines where it comes and goes", n)
		}
	})
}
