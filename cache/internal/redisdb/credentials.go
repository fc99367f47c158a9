package redisdb

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9/auth"

	"statuscache/cache/outage"
)

// Password is what Redis is given to log in, and for how long.
type Password struct {
	Text  string
	Renew time.Time // when to request the next one
	Ends  time.Time // when Redis no longer takes it; zero: that is not known
}

// Passwords returns the password of the moment. Calls are never concurrent.
type Passwords func() (Password, error)

const (
	passwordRetry = time.Second // between two questions of which the first failed
	// loginLimit is how long a connection waits for its password. It is part of the
	// time that a read may take.
	loginLimit = 250 * time.Millisecond
)

var errNoPassword = errors.New("the password for Redis is not known yet")

// credentials are a user and a password that changes. Each connection logs in with the
// newest password, and logs in again when there is a new one.
type credentials struct {
	user   string
	ask    Passwords
	source outage.Part

	mu        sync.Mutex
	password  Password
	changed   time.Time // when the password last became another
	next      time.Time // when to ask again
	err       error     // of the last question
	asking    chan struct{}
	listeners map[auth.CredentialsListener]struct{}
}

func newCredentials(user string, o Options) *credentials {
	if o.Passwords == nil {
		return nil
	}
	return &credentials{
		user: user, ask: o.Passwords, listeners: map[auth.CredentialsListener]struct{}{},
		source: outage.Part{Log: o.Log, Lost: "no new password for Redis; the last one stays in use", Back: "the password for Redis is available again"},
	}
}

// run keeps the password new until ctx ends.
func (c *credentials) run(ctx context.Context) error {
	if c == nil {
		return nil
	}
	for {
		next, err := c.refresh(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.source.Is(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
	}
}

// refresh requests the password if it is time, and returns when to do so again.
func (c *credentials) refresh(ctx context.Context) (time.Time, error) {
	if answered := c.question(); answered != nil {
		select {
		case <-ctx.Done():
		case <-answered:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next, c.err
}

// question requests the password if it is time. It returns a channel that is closed when
// the answer is there, nil if there is nothing to ask.
func (c *credentials) question() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking == nil && !time.Now().Before(c.next) {
		c.asking = make(chan struct{})
		go c.answer()
	}
	return c.asking
}

func (c *credentials) answer() {
	password, err := c.ask()
	for _, l := range c.take(password, err) {
		l.OnNext(auth.NewBasicCredentials(c.user, password.Text))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.asking) // now, so that the listeners get the passwords in their order
	c.asking = nil
}

// take keeps an answer, and returns who has to log in again.
func (c *credentials) take(password Password, err error) []auth.CredentialsListener {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.next = err, time.Now().Add(passwordRetry)
	if err != nil {
		return nil
	}
	was := c.password.Text
	c.password = password
	if password.Renew.After(c.next) {
		c.next = password.Renew
	}
	if was == "" || was == password.Text {
		return nil
	}
	c.changed = time.Now()
	return slices.Collect(maps.Keys(c.listeners))
}

// login returns what to log in with now.
func (c *credentials) login(canceled <-chan struct{}) (user, password string, err error) {
	if answered := c.question(); answered != nil {
		wait := time.NewTimer(loginLimit)
		defer wait.Stop()
		select {
		case <-canceled:
		case <-answered:
		case <-wait.C:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := c.password.Ends
	switch {
	case c.password.Text != "" && (ends.IsZero() || time.Now().Before(ends)):
		return c.user, c.password.Text, nil
	case c.err != nil:
		return "", "", &explained{"there is no password for Redis: " + c.err.Error() + "; it is tried again each second", c.err}
	}
	return "", "", errNoPassword
}

// Subscribe implements auth.StreamingCredentialsProvider: it returns what a connection
// logs in with, and reports what it has to log in with later.
func (c *credentials) Subscribe(l auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	c.mu.Lock()
	c.listeners[l] = struct{}{}
	c.mu.Unlock()
	forget := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, l)
		return nil
	}
	user, password, err := c.login(nil)
	if err != nil {
		_ = forget() // it cannot fail
		return nil, nil, err
	}
	return auth.NewBasicCredentials(user, password), forget, nil
}

// since reports whether the password became another after a moment.
func (c *credentials) since(moment time.Time) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed.After(moment)
}
