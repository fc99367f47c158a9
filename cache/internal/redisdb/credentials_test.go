package redisdb

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9/auth"

	"statuscache/cache/cachetest"
)

// secret is a password that a test changes.
type secret struct {
	mu       sync.Mutex
	password Password
	err      error
	asked    int
}

func (s *secret) set(text string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password.Text, s.err = text, err
}

func (s *secret) get() (Password, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.password, s.err
}

func (s *secret) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// TestARotatedPassword: connections that are open log in again with the new one, and the old
// one is not used any more.
func TestARotatedPassword(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	server.Do("ACL SETUSER ada on >first ~* &* +@all")
	password := &secret{}
	password.set("first", nil)
	db := openTest(t, "redis://ada@"+server.Addr, func(o *Options) { o.Passwords = password.get })
	opened := server.Calls("hello")
	write := func() error {
		c := NewCommand("sc:x", "SET", "sc:x", "1")
		db.Confirm(t.Context(), c)
		return errors.Join(c.Err, db.Readers.Get(t.Context(), "sc:x").Err())
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	server.Do("ACL SETUSER ada >second") // both are good now, as in a rotation
	password.set("second", nil)
	cachetest.Eventually(t, "the open connections log in with the new password", func() bool {
		if err := write(); err != nil {
			t.Fatal(err)
		}
		return server.Calls("auth") >= 2 // a reader and a writer at least
	})
	server.Do("ACL SETUSER ada <first")
	if err := write(); err != nil {
		t.Error(err)
	}
	fresh := openIdle(t, "redis://ada@"+server.Addr, func(o *Options) { o.Passwords = password.get })
	if err := fresh.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if opened == 0 {
		t.Error("the control: nobody said HELLO")
	}
}

// TestNoPasswordAtHand: Redis is not asked without one, the reason is reported, and the last
// one stays in use while there is no newer one.
func TestNoPasswordAtHand(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	server.Do("CONFIG SET requirepass first")
	password := &secret{}
	password.set("", errors.New("the vault is closed"))
	db := openIdle(t, server.URL(), func(o *Options) { o.Passwords = password.get })
	if err := db.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "the vault is closed") || strings.Contains(err.Error(), "failed to") {
		t.Errorf("without a password: %v", err)
	}
	password.set("first", nil)
	cachetest.Eventually(t, "the password is requested again", func() bool { return db.Check(t.Context()) == nil })
	password.set("", errors.New("the vault is closed"))
	asked := password.times()
	cachetest.Eventually(t, "it is requested once more", func() bool { _, _, _ = db.address.credentials.login(nil); return password.times() > asked })
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("the last password: %v", err)
	}
}

// TestTheFeedIsRenewed: a subscription that logged in long ago is renewed when the password
// has changed since, and not before.
func TestTheFeedIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		password := &secret{}
		password.set("first", nil)
		c := newCredentials("ada", Options{Passwords: password.get})
		if _, _, err := c.login(nil); err != nil {
			t.Fatal(err)
		}
		f := &Feed{login: c}
		var ended error
		over := make(chan struct{})
		go func() {
			defer close(over)
			ended = f.watchLogin(t.Context())
		}()
		begun := time.Now()
		<-time.After(2 * subscriptionLife)
		password.set("second", nil)
		if _, _, err := c.login(nil); err != nil {
			t.Fatal(err)
		}
		<-over
		if !errors.Is(ended, errRenewal) || time.Since(begun) > 2*subscriptionLife+Heartbeat {
			t.Errorf("after %v: %v", time.Since(begun), ended)
		}
	})
}

// heard is a connection that is to log in again.
type heard struct{ passwords []string }

func (h *heard) OnError(error) {}
func (h *heard) OnNext(c auth.Credentials) {
	_, password := c.BasicAuth()
	h.passwords = append(h.passwords, password)
}

// TestATokenIsRenewedBeforeItEnds and one that has ended is not used, whatever the reason.
func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		token := &secret{}
		ask := func() (Password, error) {
			if _, err := token.get(); err != nil {
				return Password{}, err
			}
			now := time.Now()
			return Password{Text: now.Sub(begun).String(), Renew: now.Add(10 * time.Minute), Ends: now.Add(15 * time.Minute)}, nil
		}
		c := newCredentials("ada", Options{Passwords: ask})
		l := &heard{}
		if _, _, err := c.Subscribe(l); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			<-time.After(11 * time.Minute)
			if _, got, err := c.login(nil); err != nil || got != time.Since(begun).String() {
				t.Errorf("at %v: %q, %v", time.Since(begun), got, err)
			}
		}
		synctest.Wait()
		if len(l.passwords) != 3 || token.times() != 4 {
			t.Errorf("%d tokens, of which the connection heard %v", token.times(), l.passwords)
		}
		token.set("", errors.New("no role"))
		<-time.After(14 * time.Minute)
		if _, _, err := c.login(nil); err != nil {
			t.Errorf("the last token is good: %v", err)
		}
		<-time.After(2 * time.Minute)
		if _, got, err := c.login(nil); err == nil || !strings.Contains(err.Error(), "no role") {
			t.Errorf("a token that has ended: %q, %v", got, err)
		}
	})
}
