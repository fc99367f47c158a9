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

// Password is a password for Redis, and its lifetime.
type Password struct {
	Text  string
	Renew time.Time // when to request the next one
	Ends  time.Time // when Redis no longer accepts it; zero: not known
}

// Passwords returns the current password. Calls are never concurrent.
type Passwords func() (Password, error)

const (
	passwordRetry = time.Second // between two requests if the first failed
	// loginLimit is how long a connection waits for its password. This time is part of
	// the time limit of a read.
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
	changed   time.Time // when the password last changed
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
		source: outage.Part{Log: o.Log, Lost: "cannot get a new password for Redis; the last one stays in use", Back: "the password for Redis is available again"},
	}
}

// run keeps the password current until ctx ends.
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

// refresh requests the password if it is due, and returns when to do so again.
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

// question requests the password if it is due. It returns a channel that is closed when
// the answer has arrived, nil if no request is needed.
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
	close(c.asking) // call the listeners now, so that they get the passwords in order
	c.asking = nil
}

// take stores an answer, and returns the listeners that must log in again.
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

// login returns the user and the password for a login.
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
		return "", "", &explained{"there is no password for Redis: " + c.err.Error() + "; trying again every second", c.err}
	}
	return "", "", errNoPassword
}

// Subscribe implements auth.StreamingCredentialsProvider: it returns the current
// credentials for a connection, and reports later ones to it.
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

// since reports whether the password has changed after the given time.
func (c *credentials) since(moment time.Time) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed.After(moment)
}
