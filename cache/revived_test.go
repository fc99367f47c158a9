package cache

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/uptime"
)

// TestRevokedKeyStaysRevoked: a file that still calls a key good must not revive
// one that Redis has called revoked, whoever hangs up while it is looked for and
// however long Redis takes.
func TestRevokedKeyStaysRevoked(t *testing.T) {
	t.Parallel()
	r := cachetest.Redis(t)
	admin := openIdle(t, r.URL())
	secret, k, err := admin.CreateKey(t.Context(), Key{Name: "x", Owner: "ada", Scope: ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := WriteKeysFile(file, []Key{k}); err != nil {
		t.Fatal(err)
	}
	c := openTest(t, r.URL(), func(o *Options) { o.KeysFile = file })
	find := func(ctx context.Context) error {
		c.keys.near.Clear() // as if its life were over
		_, err := c.FindKey(ctx, secret)
		return err
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := find(gone); err != nil {
		t.Errorf("the control, a good key of a caller who hung up: %v", err)
	}
	if _, err := admin.RevokeKey(t.Context(), k.Prefix); err != nil {
		t.Fatal(err)
	}
	if err := find(gone); !errors.Is(err, ErrKeyNotFound) {
		t.Errorf("a caller who hung up: %v", err)
	}
	r.Freeze()
	defer r.Thaw()
	if err := find(t.Context()); !errors.Is(err, ErrKeyNotFound) {
		t.Errorf("while Redis is frozen: %v", err)
	}
}

// TestFiledKeyIsAskedForAgainSoon: the word of the file holds for as long as
// Redis cannot be asked, and not for longer.
func TestFiledKeyIsAskedForAgainSoon(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	for filed, fresh := range map[bool]bool{true: false, false: true} {
		e := keyEntry{key: &Key{}, read: uptime.Now() - int64(keyLifeUnheard) - 1, filed: filed}
		if c.keys.fresh(e) != fresh {
			t.Errorf("filed %v: fresh %v", filed, !fresh)
		}
	}
}

// TestChangeBeforeTheSubscription: what was read before anybody listened is not
// vouched for.
func TestChangeBeforeTheSubscription(t *testing.T) {
	t.Parallel()
	r := cachetest.Redis(t)
	var once sync.Once
	subscribing, changed := make(chan struct{}), make(chan struct{})
	writer := openIdle(t, r.URL())
	c := openIdle(t, r.URL(), func(o *Options) {
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &lateSubscriber{conn, func() {
				once.Do(func() { close(subscribing) })
				<-changed
			}}, err
		}
	})
	arn, start := testARN(t, "window"), now()
	apply(t, writer, failed(arn, start, "boom"))

	go func() {
		defer close(changed)
		<-subscribing
		if r, err := c.Get(t.Context(), arn); err != nil || r.Status != Failed {
			t.Errorf("before: %v, %v", r, err)
		}
		redriven := running(arn, start)
		redriven.RedriveCount = 1
		if o := writer.Apply(t.Context(), []Execution{redriven}); !o[0].Final() {
			t.Error(o[0].Err)
		}
	}()
	runTest(t, c)
	if r, err := c.Get(t.Context(), arn); err != nil || r.Status != Running {
		t.Errorf("a change that nobody heard is hidden: %+v, %v", r, err)
	}
}

// lateSubscriber calls wait before it subscribes to anything.
type lateSubscriber struct {
	net.Conn
	wait func()
}

func (c *lateSubscriber) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("subscribe")) {
		c.wait()
	}
	return c.Conn.Write(b)
}
