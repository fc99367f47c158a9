package worklist

import (
	"context"
	"strings"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// storeKeys stores API keys by their hashes, as far as a detector looks at them.
func storeKeys(t *testing.T, c *store, hashes ...string) {
	t.Helper()
	for _, hash := range hashes {
		if err := c.db.Writers.HSet(t.Context(), c.db.Names.APIKeys, hash, "{}").Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.db.Writers.Incr(t.Context(), c.db.Names.KeyCount).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// lose empties a Redis, and returns what a process then says is lost.
func lose(t *testing.T, s *cachetest.Server, c *store) Loss {
	t.Helper()
	beats := func() int {
		n, _ := c.db.Writers.HGet(t.Context(), c.db.Names.Partitions[0].Born, "beats").Int()
		return n
	}
	before := beats()
	cachetest.Eventually(t, "the API keys are counted", func() bool { return beats() > before+2 && c.losses.Lost() == nil })
	s.Do("FLUSHALL")
	cachetest.Eventually(t, "all processes know of the loss", func() bool {
		return c.losses.Lost() != nil && c.db.Writers.HExists(t.Context(), c.db.Names.Lost, partKeys).Val()
	})
	cachetest.Eventually(t, "the keys are named", func() bool { return c.losses.Lost().Keys })
	return *c.losses.Lost()
}

// TestALossIsNamedUntilItIsBackOrDismissed part by part.
func TestALossIsNamedUntilItIsBackOrDismissed(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	storeKeys(t, c, "one", "two")
	lost := lose(t, s, c)
	if !lost.Running || !lost.Results || !lost.Keys || lost.Missing != 2 || len(lost.Lines(true)) != 3 {
		t.Fatalf("lost: %+v", lost)
	}

	machine := testARN("swept").StateMachine()
	sweep, err := c.sweeps.Claim(t.Context(), []string{machine}, time.Hour)
	if err != nil || sweep == nil {
		t.Fatalf("%+v, %v", sweep, err)
	}
	if err := c.sweeps.End(t.Context(), sweep, Audited{Swept: time.Now().Add(time.Minute), ConfirmedUntil: time.Now()}, time.Hour); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "what runs is back, and the rest is named", func() bool {
		lost := c.losses.Lost()
		return lost != nil && !lost.Running && lost.Results && lost.Keys && strings.Contains(strings.Join(lost.Lines(true), "\n"), "results from before ")
	})

	for i, keys := range [][]string{{"one"}, {"one", "two"}} {
		storeKeys(t, c, keys...)
		if missing, err := c.losses.KeysImported(t.Context()); missing != int64(1-i) || err != nil {
			t.Errorf("after %d keys were imported %d are missing, %v", i+1, missing, err)
		}
	}
	cachetest.Eventually(t, "the keys are back", func() bool { return c.losses.Lost() != nil && !c.losses.Lost().Keys && c.losses.Lost().Results })
	if err := c.losses.Backfilled(t.Context(), lost.At.Add(-time.Hour), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "all is back", func() bool { return c.losses.Lost() == nil })

	lose(t, s, c)
	if dismissed, err := c.losses.Dismiss(t.Context()); err != nil || dismissed == nil || !dismissed.Results {
		t.Fatalf("dismissed %+v, %v", dismissed, err)
	}
	cachetest.Eventually(t, "it is dismissed", func() bool { return c.losses.Lost() == nil })
	if dismissed, err := c.losses.Dismiss(t.Context()); err != nil || dismissed != nil {
		t.Errorf("dismissed again: %+v, %v", dismissed, err)
	}
}

// TestLossIsNoticed: Redis was emptied, restarted empty, or came back with an old copy.
func TestLossIsNoticed(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*cachetest.Server, *store){
		"emptied":         func(s *cachetest.Server, _ *store) { s.Do("FLUSHALL") },
		"restarted empty": func(s *cachetest.Server, _ *store) { s.Kill(); s.Start() },
		"an old copy": func(_ *cachetest.Server, c *store) {
			key := c.db.Names.Partitions[0].Born
			born := c.db.Writers.HGet(t.Context(), key, "id").Val()
			if err := c.db.Writers.HSet(t.Context(), key, "id", born, "beats", 1).Err(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cachetest.Redis(t)
			c, other := openTest(t, s.URL()), openTest(t, s.URL())
			cachetest.Eventually(t, "it is known that time went by", func() bool {
				beats, err := c.db.Writers.HGet(t.Context(), c.db.Names.Partitions[0].Born, "beats").Int()
				return err == nil && beats > 2*(beatsKept+1)
			})
			if c.losses.Lost() != nil {
				t.Fatalf("nothing was lost, and it says %+v", c.losses.Lost())
			}
			lose(s, c)
			cachetest.Eventually(t, "every process says so, and Redis has it", func() bool {
				return c.losses.Lost() != nil && other.losses.Lost() != nil && c.db.Writers.Exists(t.Context(), c.db.Names.Lost).Val() == 1
			})
			at := c.losses.Lost().At
			if !c.sweeps.Incomplete(at.Add(-time.Minute)) {
				t.Error("what was swept before counts")
			}
			for _, tooLittle := range [][2]time.Time{{at.Add(-2 * time.Hour), at.Add(-time.Second)}, {at.Add(-time.Minute), at.Add(time.Second)}} {
				if err := c.losses.Backfilled(t.Context(), tooLittle[0], tooLittle[1]); err != nil {
					t.Error(err)
				}
				if n := c.db.Writers.Exists(t.Context(), c.db.Names.Lost).Val(); n != 1 {
					t.Errorf("what began from %v to %v ends a loss at %v", tooLittle[0], tooLittle[1], at)
				}
			}
			cachetest.Eventually(t, "it is over when all is learnt again", func() bool {
				return c.losses.Backfilled(t.Context(), at.Add(-2*time.Hour), time.Now()) == nil && c.losses.Lost() == nil && other.losses.Lost() == nil
			})
		})
	}
}

// TestALossIsStoredAfterAFailedWrite: a process that cannot store a loss when it notices it
// stores it later, so that the other processes learn of it.
func TestALossIsStoredAfterAFailedWrite(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	if err := c.losses.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Writers.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Writers.Set(t.Context(), c.db.Names.Lost, "not a hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.losses.look(t.Context()); err == nil || c.losses.Lost() == nil {
		t.Fatalf("look: %v, lost: %v; want an error and a loss", err, c.losses.Lost())
	}
	if err := c.db.Writers.Del(t.Context(), c.db.Names.Lost).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.losses.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.db.Writers.Exists(t.Context(), c.db.Names.Lost).Val(); n != 1 || c.losses.Lost() == nil {
		t.Errorf("the loss is forgotten: stored for the others %v, known here: %v", n == 1, c.losses.Lost())
	}
}

// TestANoticedLossIsReportedOnce: after it is stored, so that what the callback stores is
// not taken for what was lost. A loss that others noticed is not this process's to report.
func TestANoticedLossIsReportedOnce(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	other := openIdle(t, s.URL())
	calls, before := 0, false
	var c *store
	c = openIdle(t, s.URL(), func(ctx context.Context) error {
		calls++
		loss, err := c.losses.LossNow(ctx)
		before = before || loss == nil
		return err
	})
	look := func() {
		t.Helper()
		if err := c.losses.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	s.Do("FLUSHALL")
	for range 3 {
		look()
	}
	if calls != 1 || before {
		t.Errorf("reported %d times, before it was stored: %v", calls, before)
	}
	if err := other.losses.look(t.Context()); err != nil || other.losses.Lost() == nil {
		t.Errorf("a process that began later: %v, %v", other.losses.Lost(), err)
	}
	look()
	if calls != 1 {
		t.Errorf("reported %d times", calls)
	}
}

// TestALossSaysWhatRestoresIt: an audit does so only where there is one.
func TestALossSaysWhatRestoresIt(t *testing.T) {
	t.Parallel()
	lost := Loss{Running: true}
	with, without := strings.Join(lost.Lines(true), "; "), strings.Join(lost.Lines(false), "; ")
	if !strings.Contains(with, "are being restored by the audit") || strings.Contains(without, "being restored") || !strings.Contains(without, "STATE_MACHINES") || !strings.Contains(without, "statusctl backfill") {
		t.Errorf("%s\n%s", with, without)
	}
}
