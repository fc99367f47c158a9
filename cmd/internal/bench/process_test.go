package main

import (
	"crypto/sha256"
	"os"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " S 1 7 7 0 -1 4194560 100 0 0 0 150 25 9 9 20 0 4 0 100 1000 10"
	for name, c := range map[string]struct {
		text string
		want time.Duration
		ok   bool
	}{
		"plain":                {"7 (redis-server)" + rest, 1750 * time.Millisecond, true},
		"a name with brackets": {"7 (a) R (b c)" + rest, 1750 * time.Millisecond, true},
		"no name":              {"7 redis-server" + rest, 0, false},
		"cut off":              {"7 (redis-server) S 1 7 7 0 -1 4194560 100 0 0 0 150", 0, false},
		"not a number":         {"7 (x) S 1 7 7 0 -1 4194560 100 0 0 0 150 x 0", 0, false},
		"empty":                {"", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat([]byte(c.text))
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("got %v, %v, want %v, ok %v", got, err, c.want, c.ok)
			}
		})
	}
}

func TestProcessorTime(t *testing.T) {
	t.Parallel()
	own := []int{os.Getpid()}
	before, err := processorTime(own)
	if err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "what a busy process uses shows", func() bool {
		_ = sha256.Sum256(make([]byte, 1<<20)) // so that it is busy
		now, err := processorTime(own)
		if err != nil {
			t.Fatal(err)
		}
		return now > before
	})
}

func TestProcessorTimeOfNobody(t *testing.T) {
	t.Parallel()
	const beyondAll = 1 << 30
	if _, err := processorTime([]int{beyondAll}); err == nil {
		t.Error("no error for a process that is not there")
	}
}
