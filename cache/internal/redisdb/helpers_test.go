package redisdb

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// redisTimeout is how long Redis may take in a test that is not about such limits: a
// machine that is busy with other work must not make it fail.
const redisTimeout = 30 * time.Second

// openTest opens a DB and runs it until the test ends. It returns when the change feed
// is heard.
func openTest(t testing.TB, url string, change ...func(*Options)) *DB {
	t.Helper()
	db := openIdle(t, url, change...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- db.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return db.Ready() == nil })
	return db
}

// openIdle opens a DB that does not listen to changes.
func openIdle(t testing.TB, url string, change ...func(*Options)) *DB {
	t.Helper()
	o := Options{URL: url, Prefix: "sc", Log: slog.New(slog.DiscardHandler), ReadLimit: redisTimeout, WriteLimit: redisTimeout}
	for _, f := range change {
		f(&o)
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}
