package cache

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"statuscache/cache/cachetest"
)

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
		t.Errorf("a change without a notification is hidden: %+v, %v", r, err)
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
