package formats

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// listen opens a Redis of the test's own and listens to its changes until the test ends.
func listen(t *testing.T) *redisdb.DB {
	t.Helper()
	const redisTimeout = 30 * time.Second
	db, err := redisdb.Open(redisdb.Options{
		URL: cachetest.Redis(t).URL(), Prefix: "sc", Log: slog.New(slog.DiscardHandler), ReadLimit: redisTimeout, WriteLimit: redisTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	cachetest.Eventually(t, "the process listens to changes", db.Feed.Heard)
	return db
}

// subscriber is a connection that has subscribed to a channel.
func subscriber(t *testing.T, address, channel string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "SUBSCRIBE "+channel+"\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(c).ReadString('\n'); err != nil || answer[0] != '*' {
		t.Fatalf("the answer to SUBSCRIBE is %q, %v", answer, err)
	}
	return c
}

// TestCompactRecordsWaitForOlderReleases: nothing compact is written while a process listens
// that does not know the format, nor for a day after, nor for a day after an upgrade.
func TestCompactRecordsWaitForOlderReleases(t *testing.T) {
	t.Parallel()
	writes := func(f *Formats) bool {
		f.asked = 0
		return f.WritesCompact(t.Context())
	}
	db := listen(t)
	f := New(db)
	if !writes(f) {
		t.Error("in a new Redis the format is not compact")
	}
	older := subscriber(t, redisdb.Address(db.Writers), db.Names.Partitions[0].Changed)
	for range 2 {
		if writes(f) {
			t.Error("the format is compact while an older release listens")
		}
	}
	_ = older.Close()
	cachetest.Eventually(t, "the older release has gone", func() bool {
		return db.Writers.Publish(t.Context(), db.Names.Partitions[0].Changed, "").Val() == 1
	})
	if writes(f) {
		t.Error("the format is compact as soon as the older release has gone")
	}
	long := time.Now().Add(-rollbackWindow - time.Minute).UnixMilli()
	db.Writers.Set(t.Context(), db.Names.OlderSeen, long, 0)
	if !writes(f) {
		t.Error("a day later the format is not compact")
	}

	db.Writers.ZAdd(t.Context(), db.Names.Partitions[7].Recent, redis.Z{Score: 1, Member: "an execution"})
	db.Writers.Del(t.Context(), db.Names.OlderSeen)
	if writes(f) {
		t.Error("the format is compact right after an upgrade")
	}
}
