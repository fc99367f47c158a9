package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache/outage"
)

const (
	heartbeat  = time.Second
	maxSilence = 2 * time.Second // without a heartbeat; then nothing near may be told
	maxPause   = time.Second     // between two attempts to listen
)

// feed listens to the change channels of every primary. Redis does not promise
// to deliver a notification and does not tell when it lost some, so the feed
// vouches for the near cache only as long as each primary answers a PING that
// was sent on the connection of the subscription itself: the answer comes behind
// every notification that was published before. A lost connection, silence and
// a changed topology end the session, and with it all trust.
type feed struct {
	client   redis.UniversalClient
	sharded  bool
	channels []string
	hearing  outage.Part
	near     *near
	changed  func(channel, payload string)
	reset    func() // everything may have changed

	reason atomic.Pointer[error] // why the feed is not heard; nil: not known yet
}

func newFeed(c *Cache) *feed {
	return &feed{
		client:   c.feeders,
		sharded:  c.address.mode == cluster,
		channels: c.names.channels(),
		hearing: outage.Part{Log: c.options.Log, Lost: "the change feed of Redis is lost; every read goes to Redis until it is back",
			Back: "the change feed of Redis is back"},
		near: c.near,
		changed: func(channel, payload string) {
			c.metrics.notifications.Inc()
			if channel == c.names.keyChanges {
				c.keys.announced(payload)
				return
			}
			var arns []ARN
			for arn := range strings.SplitSeq(payload, "\n") {
				c.near.forget(ARN(arn))
				c.heads.forget(ARN(arn))
				arns = append(arns, ARN(arn))
			}
			c.hub.changed(arns) // reads again, so what is near must be gone
		},
		reset: func() {
			c.near.distrust()
			c.keys.forget()
			c.hub.lost()
		},
	}
}

var errStarting = errors.New("not heard yet")

// ready returns nil while the feed is heard.
func (f *feed) ready() error {
	if f.near.trusted() {
		return nil
	}
	if reason := f.reason.Load(); reason != nil {
		return fmt.Errorf("change feed: %w", *reason)
	}
	return fmt.Errorf("change feed: %w", errStarting)
}

// run listens until ctx ends.
func (f *feed) run(ctx context.Context) error {
	pause := maxPause / 16
	for ctx.Err() == nil {
		begun := time.Now()
		err := f.session(ctx)
		f.reset()
		if ctx.Err() != nil {
			break
		}
		f.reason.Store(&err)
		f.hearing.Is(err)
		if time.Since(begun) > maxSilence {
			pause = maxPause / 16
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(pause*2, maxPause)
	}
	return nil
}

// session listens to every primary until one of them is lost.
func (f *feed) session(ctx context.Context) error {
	layout, err := f.layout(ctx)
	if err != nil {
		return err
	}
	pulse := &pulse{last: make([]int64, len(layout.channels)), near: f.near, begun: f.begin}
	g, ctx := errgroup.WithContext(ctx)
	primary := 0
	for node, channels := range layout.channels {
		heard := pulse.of(primary)
		primary++
		g.Go(func() error { return f.listen(ctx, node, channels, heard) })
	}
	g.Go(func() error { return f.watchLayout(ctx, layout.name) })
	return g.Wait()
}

// begin begins to trust what is near, now that every primary is listened to.
func (f *feed) begin() {
	f.reset()
	f.hearing.Is(nil)
}

// layout is which primary has which channels.
type layout struct {
	name     string // differs whenever the layout does
	channels map[*redis.Client][]string
}

func (f *feed) layout(ctx context.Context) (layout, error) {
	l := layout{channels: map[*redis.Client][]string{}}
	if node, ok := f.client.(*redis.Client); ok {
		l.channels[node] = f.channels
		info, err := serverInfo(ctx, node)
		l.name = info["run_id"] // after a failover it is another server
		return l, err
	}
	var name strings.Builder
	for _, channel := range f.channels {
		node, err := f.client.(*redis.ClusterClient).MasterForKey(ctx, channel)
		if err != nil {
			return l, fmt.Errorf("find the primary of a channel: %w", err)
		}
		l.channels[node] = append(l.channels[node], channel)
		name.WriteString(node.Options().Addr + " ")
	}
	l.name = name.String()
	return l, nil
}

var errLayout = errors.New("the primary changed")

// watchLayout ends the session when a channel has moved to another primary: the
// old one may go on answering and never again tell of a change.
func (f *feed) watchLayout(ctx context.Context, name string) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		// One that cannot be asked now says nothing; silence is noticed elsewhere.
		if now, err := f.layout(ctx); err == nil && now.name != name {
			return errLayout
		}
	}
}

// listen receives from one primary until that fails or falls silent.
func (f *feed) listen(ctx context.Context, node *redis.Client, channels []string, heard func(sent int64)) error {
	sub := node.Subscribe(ctx)
	defer func() { _ = sub.Close() }() // it is of no use any more, whatever it says
	if err := f.subscribe(ctx, sub, channels); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	// A read that waits does not look at its context.
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	g.Go(func() error { return beat(ctx, sub) })
	g.Go(func() error { return f.receive(ctx, sub, len(channels), heard) })
	return g.Wait()
}

func (f *feed) subscribe(ctx context.Context, sub *redis.PubSub, channels []string) error {
	if !f.sharded {
		return sub.Subscribe(ctx, channels...)
	}
	for _, channel := range channels { // one command takes channels of one slot only
		if err := sub.SSubscribe(ctx, channel); err != nil {
			return err
		}
	}
	return nil
}

// beat sends a PING each second. It carries the time at which it was sent.
func beat(ctx context.Context, sub *redis.PubSub) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		if err := sub.Ping(ctx, strconv.FormatInt(uptime(), 10)); err != nil {
			return fmt.Errorf("ping: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

var errUnconfirmed = errors.New("a subscription was not confirmed")

func (f *feed) receive(ctx context.Context, sub *redis.PubSub, wanted int, heard func(sent int64)) error {
	confirmed := 0
	for {
		message, err := sub.ReceiveTimeout(ctx, maxSilence)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		switch m := message.(type) {
		case *redis.Message:
			f.changed(m.Channel, m.Payload)
		case *redis.Pong:
			if confirmed != wanted { // they come before the answer to the first PING
				return errUnconfirmed
			}
			if sent, err := strconv.ParseInt(m.Payload, 10, 64); err == nil {
				heard(sent)
			}
		case *redis.Subscription:
			if strings.HasSuffix(m.Kind, "unsubscribe") {
				return errLayout // the slot has moved away
			}
			confirmed++
		}
	}
}

// pulse is when each primary was last known to be heard. The weakest counts.
type pulse struct {
	mu   sync.Mutex
	last []int64 // by uptime, when the last answered PING was sent
	near *near
	// begun throws away what was read before every primary was listened to: a
	// change that came before its subscription was heard by nobody.
	begun func()
}

// of returns what to call when one primary has answered a PING.
func (p *pulse) of(primary int) func(sent int64) {
	return func(sent int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		first := slices.Min(p.last) == 0
		p.last[primary] = sent
		weakest := slices.Min(p.last)
		if weakest == 0 {
			return
		}
		if first {
			p.begun()
		}
		p.near.trust(weakest + int64(maxSilence))
	}
}
