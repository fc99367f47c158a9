package apikeys

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestAKeyIsFoundByItsOwnHash, whichever keys are remembered in its place: by many callers at
// once, of more keys than there are places.
func TestAKeyIsFoundByItsOwnHash(t *testing.T) {
	t.Parallel()
	h, fresh := newHashes([]byte("pepper")), newHashes([]byte("pepper"))
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			for i := range 4 * recentKeys {
				secret := fmt.Sprintf("csk_live_%032x", i/2)
				hash, known := h.recall(secret)
				if want := fresh.of(secret); !known {
					h.remember(secret, want)
				} else if hash != want {
					return fmt.Errorf("%s: the hash of another key", secret)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	last := fmt.Sprintf("csk_live_%032x", 2*recentKeys-1)
	if _, known := h.recall(last); !known {
		t.Error("the control: the last key is not remembered")
	}
	for _, other := range []string{last + "0", last[:len(last)-1], last[:len(last)-1] + "g", ""} {
		if _, known := h.recall(other); known {
			t.Errorf("%q is taken for another key", other)
		}
	}
}
