package singleflight

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAPanicIsAnErrorOfAllWhoShareTheCall, and the process and the next call are not affected.
func TestAPanicIsAnErrorOfAllWhoShareTheCall(t *testing.T) {
	t.Parallel()
	var g Group[int]
	release := make(chan struct{})
	broken := func(context.Context) (int, error) {
		<-release
		panic("out of order")
	}
	var callers sync.WaitGroup
	for range 5 {
		call := g.Begin(t.Context(), time.Hour, "key", broken)
		callers.Go(func() {
			if v, err := call.Wait(t.Context()); v != 0 || !errors.Is(err, ErrPanicked) || !strings.Contains(err.Error(), "out of order") || !strings.Contains(err.Error(), "flight_test.go") {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	close(release)
	callers.Wait()
	if v, err := g.Begin(t.Context(), time.Hour, "key", func(context.Context) (int, error) { return 1, nil }).Wait(t.Context()); v != 1 || err != nil {
		t.Errorf("the next call: %d, %v", v, err)
	}
	if _, err := g.Do("key", func() (int, error) { panic(1) }); !errors.Is(err, ErrPanicked) {
		t.Errorf("%v", err)
	}
}

// TestACallContinuesWithoutItsFirstCaller: others wait for it.
func TestACallContinuesWithoutItsFirstCaller(t *testing.T) {
	t.Parallel()
	var g Group[string]
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	first := g.Begin(ctx, time.Hour, "key", func(ctx context.Context) (string, error) {
		<-release
		return "done", ctx.Err()
	})
	second := g.Begin(t.Context(), time.Hour, "key", nil)
	cancel()
	if _, err := first.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	close(release)
	if got, err := second.Wait(t.Context()); got != "done" || err != nil {
		t.Errorf("the second: %q, %v", got, err)
	}
}
