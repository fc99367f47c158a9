package apikeys

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// redisTimeout is how long Redis may take in a test that is not about such limits: a
// machine that is busy with other work must not make it fail.
const redisTimeout = 30 * time.Second

// setUp is what a test opens keys with.
type setUp struct {
	redis redisdb.Options
	Options
}

// openTest opens the keys in a Redis, and runs them until the test ends.
func openTest(t testing.TB, url string, change ...func(*setUp)) *Keys {
	t.Helper()
	ks := openIdle(t, url, change...)
	runTest(t, ks)
	return ks
}

// openIdle opens keys that do not listen to changes.
func openIdle(t testing.TB, url string, change ...func(*setUp)) *Keys {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := setUp{
		redis:   redisdb.Options{URL: url, Prefix: "sc", Log: log, ReadLimit: redisTimeout, WriteLimit: redisTimeout},
		Options: Options{Pepper: []byte("pepper pepper pepper"), Log: log},
	}
	for _, f := range change {
		f(&s)
	}
	db, err := redisdb.Open(s.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	ks, err := Open(db, s.Options)
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// runTest runs ks and its Redis until the test ends. It returns when the change feed is
// heard.
func runTest(t testing.TB, ks *Keys) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return ks.db.Run(ctx) })
	g.Go(func() error { return ks.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return ks.db.Ready() == nil })
}

// through has keys reach Redis by a network of the test's own.
func through(n *cachetest.Network) func(*setUp) {
	return func(s *setUp) { s.redis.Dial = n.Dial }
}

// withFile has keys read a file.
func withFile(path string) func(*setUp) { return func(s *setUp) { s.File = path } }

// openBubble opens the keys in the Redis of a bubble, with the limits of production, that
// do not listen to changes. Their connections pass through n.
func openBubble(t *testing.T, b *cachetest.Bubble, n *cachetest.Network) *Keys {
	t.Helper()
	b.Join(n)
	return openIdle(t, cachetest.BubbleURL, through(n), func(s *setUp) { s.redis.ReadLimit, s.redis.WriteLimit = 0, 0 })
}

func createKey(t *testing.T, ks *Keys, k Key) (secret string, created Key) {
	t.Helper()
	secret, created, err := ks.Create(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return secret, created
}

// refused reports whether a key is known to be no good, which an error of Redis
// does not say.
func refused(t *testing.T, ks *Keys, secret string) bool {
	t.Helper()
	_, err := ks.Find(t.Context(), secret)
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Errorf("find key: %v", err)
	}
	return err != nil
}

func writeKeys(t *testing.T, path string, keys ...Key) {
	t.Helper()
	if err := WriteFile(path, keys); err != nil {
		t.Fatal(err)
	}
}
