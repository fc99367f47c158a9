package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

func TestMakeBatches(t *testing.T) {
	t.Parallel()
	batches := makeBatches(order{batches: 2 * inOneBlock, size: 1300, copies: 3})
	if want := 3 * 2 * inOneBlock; len(batches) != want {
		t.Fatalf("%d batches, want %d", len(batches), want)
	}
	keys, bodies := map[string]bool{}, map[string]int{}
	for i, batch := range batches {
		begins := i%(2*inOneBlock) < inOneBlock
		for _, m := range batch {
			keys[m.key] = true
			bodies[m.body]++
			if strings.Contains(m.body, `"status":"RUNNING"`) != begins {
				t.Fatalf("batch %d has the wrong half of a life", i)
			}
		}
	}
	if want := len(batches) * batchSize; len(keys) != want {
		t.Errorf("%d names for %d messages", len(keys), want)
	}
	for _, n := range bodies {
		if n != 3 {
			t.Fatalf("an event was copied %d times, want 3", n)
		}
	}
}

func TestInParallel(t *testing.T) {
	t.Parallel()
	batches := make([][]message, 100)
	for i := range batches {
		batches[i] = make([]message, batchSize)
	}
	var seen atomic.Int64
	done, err := inParallel(t.Context(), batches, func(_ context.Context, batch []message) (int, error) {
		seen.Add(1)
		return len(batch), nil
	})
	if err != nil || done != len(batches)*batchSize || seen.Load() != int64(len(batches)) {
		t.Errorf("%d messages in %d batches, %v", done, seen.Load(), err)
	}
	broken := errors.New("broken")
	if _, err := inParallel(t.Context(), batches, func(context.Context, []message) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want what went wrong", err)
	}
}
