package cache

import (
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// TestOneSilentPrimary: whoever asks for what another primary holds is answered,
// however many wait for the silent one.
func TestOneSilentPrimary(t *testing.T) {
	t.Parallel()
	cluster := cachetest.Cluster(t)
	c := openIdle(t, cluster.URL())
	silent, names := cluster.Primaries[0], []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	var there, elsewhere []ARN
	for _, name := range names {
		arn := testARN(t, name)
		apply(t, c, running(arn, now()))
		node, err := primaryOf(t.Context(), c.readers, c.names.execution(arn))
		if err != nil {
			t.Fatal(err)
		}
		if node.Options().Addr == silent.Addr {
			there = append(there, arn)
		} else {
			elsewhere = append(elsewhere, arn)
		}
	}
	if len(there) == 0 || len(elsewhere) == 0 {
		t.Fatalf("%d there, %d elsewhere", len(there), len(elsewhere))
	}
	for _, replica := range cluster.Replicas { // nobody takes over
		replica.Freeze()
		defer replica.Thaw()
	}
	silent.Freeze()
	defer silent.Thaw()

	done := make(chan struct{})
	for _, arn := range there {
		go func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = c.Get(t.Context(), arn) // waits in vain
				}
			}
		}()
	}
	defer close(done)
	answered := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		for _, arn := range elsewhere {
			if _, err := c.Get(t.Context(), arn); err != nil {
				t.Fatalf("after %d answers: %v", answered, err)
			}
			answered++
		}
	}
	if _, err := c.Get(t.Context(), there[0]); err == nil {
		t.Error("the control: the silent primary answered")
	}
}
