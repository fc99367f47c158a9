package redisdb

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

	"statuscache/cache/internal/monotonic"
	"statuscache/cache/outage"
)

const (
	// Heartbeat is the time between two PINGs on the connection of a subscription.
	Heartbeat = time.Second
	// MaxSilence is how long the feed trusts a connection without an answer to a PING.
	MaxSilence = 2 * time.Second // without a Heartbeat; after that nothing may be answered from memory
	maxPause   = time.Second     // between two attempts to listen
)

// Feed listens to the change channels of every primary. Redis does not guarantee the delivery
// of notifications and does not report lost ones. So the feed trusts cached records only while
// each primary answers a PING on the connection of the subscription. The answer comes after
// all notifications that were published before. A lost connection, silence and a changed
// topology end the session, and with it all trust.
type Feed struct {
	Trust Trust
	// Listeners are called in order. None is added after Run starts.
	Listeners []Listener

	client   Client
	login    *credentials
	sharded  bool
	channels []string
	hearing  outage.Part

	reason atomic.Pointer[error] // why the feed does not work; nil: not known yet
	quiet  quiet
}

// Listener receives the notifications of the feed.
type Listener struct {
	Changed func(channel, payload string)
	Reset   func() // everything may have changed
}

// Trust is the time until which it is known that every change was received. Until then,
// answers may come from memory.
type Trust struct{ until atomic.Int64 } // by the monotonic clock

// Holds reports whether that is known at the given time, by the monotonic clock.
func (t *Trust) Holds(now int64) bool { return now < t.until.Load() }

// Extend sets until when that holds, by the monotonic clock.
func (t *Trust) Extend(until int64) { t.until.Store(until) }

// End ends the trust until it is extended again.
func (t *Trust) End() { t.until.Store(0) }

func newFeed(db *DB) *Feed {
	f := &Feed{
		client:   db.feeders,
		login:    db.address.credentials,
		sharded:  db.Cluster(),
		channels: db.Names.Channels(),
		hearing: outage.Part{Log: db.options.Log, Lost: "the change feed of Redis is lost; every read goes to Redis until it is back",
			Back: "the change feed of Redis is back"},
	}
	f.quiet.begin()
	return f
}

// Heard reports whether the feed receives every change now.
func (f *Feed) Heard() bool { return f.Trust.Holds(monotonic.Now()) }

// Reset reports to every listener that everything may have changed.
func (f *Feed) Reset() {
	f.Trust.End()
	for _, l := range f.Listeners {
		l.Reset()
	}
}

func (f *Feed) changed(channel, payload string) {
	for _, l := range f.Listeners {
		l.Changed(channel, payload)
	}
}

var errStarting = errors.New("not connected yet")

// ready returns nil while the feed works.
func (f *Feed) ready() error {
	if f.Heard() {
		return nil
	}
	cause := errStarting
	if reason := f.reason.Load(); reason != nil {
		cause = *reason
	}
	return &feedError{f.quiet.lasts(), cause}
}

// run listens until ctx ends.
func (f *Feed) run(ctx context.Context) error {
	pause := maxPause / 16
	for ctx.Err() == nil {
		begun := time.Now()
		err := f.session(ctx)
		f.Reset()
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errRenewal) {
			continue
		}
		f.reason.Store(&err)
		f.quiet.begin()
		f.hearing.Is(err)
		if time.Since(begun) > MaxSilence {
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

// session listens to every primary until the connection to one of them is lost.
func (f *Feed) session(ctx context.Context) error {
	layout, err := f.layout(ctx)
	if err != nil {
		return err
	}
	pulse := &pulse{last: make([]int64, len(layout.channels)), trust: &f.Trust, begun: f.begin}
	g, ctx := errgroup.WithContext(ctx)
	primary := 0
	for node, channels := range layout.channels {
		heard := pulse.of(primary)
		primary++
		g.Go(func() error { return f.listen(ctx, node, channels, heard) })
	}
	g.Go(func() error { return f.watchLayout(ctx, layout.name) })
	g.Go(func() error { return f.watchLogin(ctx) })
	return g.Wait()
}

// subscriptionLife is how long a subscription is kept with a password that is no longer the
// newest. ElastiCache and MemoryDB end a connection 12 hours after it has logged in with
// a token.
const subscriptionLife = 6 * time.Hour

var errRenewal = errors.New("the subscription is being renewed to log in with the newest password")

// watchLogin ends the session when it must log in with a newer password.
func (f *Feed) watchLogin(ctx context.Context) error {
	begun := time.Now()
	life := time.NewTimer(subscriptionLife)
	defer life.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-life.C:
		}
		if f.login.since(begun) {
			return errRenewal
		}
		life.Reset(Heartbeat)
	}
}

// begin begins to trust the near cache, now that the feed listens to every primary.
func (f *Feed) begin() {
	f.Reset()
	f.quiet.end()
	f.hearing.Is(nil)
}

// layout is which primary has which channels.
type layout struct {
	name     string // differs whenever the layout does
	channels map[Client][]string
}

func (f *Feed) layout(ctx context.Context) (layout, error) {
	l := layout{channels: map[Client][]string{}}
	if node, ok := f.client.(*redis.Client); ok {
		l.channels[node] = f.channels
		info, err := ServerInfo(ctx, node)
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
		name.WriteString(Address(node) + " ")
	}
	l.name = name.String()
	return l, nil
}

var errLayout = errors.New("the primary changed")

// watchLayout ends the session when a channel has moved to another primary: the
// old one may keep answering and never again report a change.
func (f *Feed) watchLayout(ctx context.Context, name string) error {
	tick := time.NewTicker(Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		// An error here is ignored, because silence is noticed elsewhere.
		if now, err := f.layout(ctx); err == nil && now.name != name {
			return errLayout
		}
	}
}

// listen receives from one primary until that fails or falls silent.
func (f *Feed) listen(ctx context.Context, node Client, channels []string, heard func(sent int64)) error {
	sub := subscribeTo(ctx, node)
	defer func() { _ = sub.Close() }() // its error does not matter any more
	if err := f.subscribe(ctx, sub, channels); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	// A waiting read does not check its context.
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	g.Go(func() error { return beat(ctx, sub) })
	g.Go(func() error { return f.receive(ctx, sub, len(channels), heard) })
	return g.Wait()
}

func (f *Feed) subscribe(ctx context.Context, sub subscription, channels []string) error {
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
func beat(ctx context.Context, sub subscription) error {
	tick := time.NewTicker(Heartbeat)
	defer tick.Stop()
	for {
		if err := sub.Ping(ctx, strconv.FormatInt(monotonic.Now(), 10)); err != nil {
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

func (f *Feed) receive(ctx context.Context, sub subscription, wanted int, heard func(sent int64)) error {
	confirmed := 0
	for {
		message, err := sub.ReceiveTimeout(ctx, MaxSilence)
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

// pulse is when the heartbeat of each primary last arrived. The oldest counts.
type pulse struct {
	mu    sync.Mutex
	last  []int64 // by the monotonic clock, when the last answered PING was sent
	trust *Trust
	// begun drops everything that was read before the feed listened to every primary,
	// because earlier changes reached no subscriber.
	begun func()
}

// of returns the function to call when one primary has answered a PING.
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
		p.trust.Extend(weakest + int64(MaxSilence))
	}
}
