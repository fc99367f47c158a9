package redisdb

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestTLSWithAPrivateAuthority: Redis is verified by the files that are named, under the name
// that is given, and what is wrong with a certificate is said with the setting that fixes it.
func TestTLSWithAPrivateAuthority(t *testing.T) {
	t.Parallel()
	authority, other := cachetest.NewAuthority(t), cachetest.NewAuthority(t)
	_, byName := cachetest.RedisTLS(t, authority, []string{"redis.example.com"}, "--tls-auth-clients", "no")
	_, strict := cachetest.RedisTLS(t, authority, []string{"127.0.0.1"})
	ours, key := authority.Certificate("statusd")
	foreign, foreignKey := other.Certificate("statusd")
	for name, test := range map[string]struct {
		addr string
		tls  TLS
		want string // in the error; empty: none
	}{
		"by its name":         {byName, TLS{CAFile: authority.CAFile, ServerName: "redis.example.com"}, ""},
		"by its address":      {byName, TLS{CAFile: authority.CAFile}, "REDIS_SERVER_NAME"},
		"by another name":     {byName, TLS{CAFile: authority.CAFile, ServerName: "example.com"}, "REDIS_SERVER_NAME"},
		"system's CAs":        {byName, TLS{ServerName: "redis.example.com"}, "set REDIS_CA_FILE"},
		"another authority":   {byName, TLS{CAFile: other.CAFile, ServerName: "redis.example.com"}, "no authority in REDIS_CA_FILE"},
		"with our own":        {strict, TLS{CAFile: authority.CAFile, CertFile: ours, KeyFile: key}, ""},
		"without one":         {strict, TLS{CAFile: authority.CAFile}, "set REDIS_CERT_FILE and REDIS_KEY_FILE"},
		"with a foreign one":  {strict, TLS{CAFile: authority.CAFile, CertFile: foreign, KeyFile: foreignKey}, "refuses the certificate in REDIS_CERT_FILE"},
		"with a foreign key":  {strict, TLS{CAFile: authority.CAFile, CertFile: ours, KeyFile: foreignKey}, "REDIS_CERT_FILE, REDIS_KEY_FILE"},
		"with a missing file": {strict, TLS{CAFile: "/nonexistent"}, "REDIS_CA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openIdle(t, "rediss://"+test.addr, func(o *Options) { o.TLS = test.tls })
			err := db.Check(t.Context())
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if err != nil && !strings.HasPrefix(name, "with a") && !errors.Is(err, ErrUnfit) {
				t.Errorf("it would be tried again and again: %v", err)
			}
		})
	}
}

// TestARefusedCertificateIsReportedAfterAReset: the alert is read even if the first write already
// fails.
func TestARefusedCertificateIsReportedAfterAReset(t *testing.T) {
	t.Parallel()
	authority, other := cachetest.NewAuthority(t), cachetest.NewAuthority(t)
	ours, oursKey := authority.Certificate("127.0.0.1")
	foreign, foreignKey := other.Certificate("statusd")
	pool, err := TLS{CAFile: authority.CAFile}.authorities()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := TLS{CertFile: ours, KeyFile: oursKey}.pair()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	reset := make(chan error)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			refused := tls.Server(c, &tls.Config{Certificates: pair, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}).Handshake()
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // so that closing resets it
			}
			_ = c.Close()
			reset <- refused
		}
	}()
	a := &address{tls: true, files: TLS{CAFile: authority.CAFile, CertFile: foreign, KeyFile: foreignKey}}
	for name, test := range map[string]struct {
		of   func(net.Conn) net.Conn
		said bool
	}{
		"as it is":    {func(c net.Conn) net.Conn { return c }, true},
		"the control": {func(c net.Conn) net.Conn { return c.(*alertedConn).Conn }, false},
	} {
		c, err := a.dialer(nil)(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if refused := <-reset; refused == nil {
			t.Fatal("the server accepts the certificate")
		}
		cachetest.Eventually(t, "the reset has arrived", func() bool {
			_, err = test.of(c).Write([]byte("PING\r\n"))
			return err != nil
		})
		if (certificateError(err, a.files) != "") != test.said {
			t.Errorf("%s: %v", name, err)
		}
		_ = c.Close()
	}
}

// TestTLSReachesEveryNode: also those that a cluster or Sentinels name, for commands and for
// the feed. None of them takes another authority.
func TestTLSReachesEveryNode(t *testing.T) {
	t.Parallel()
	const name = "redis.example.com"
	authority, other := cachetest.NewAuthority(t), cachetest.NewAuthority(t)
	for kind, start := range map[string]func(t *testing.T) string{
		"one server": func(t *testing.T) string {
			_, secure := cachetest.RedisTLS(t, authority, []string{name}, "--tls-auth-clients", "no")
			return "rediss://" + secure
		},
		"a cluster": func(t *testing.T) string { return cachetest.ClusterTLS(t, authority, name).URL() },
		"Sentinels": func(t *testing.T) string { return cachetest.SentinelTLS(t, authority, name).URL() },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			db := openTest(t, url, func(o *Options) { o.TLS = TLS{CAFile: authority.CAFile, ServerName: name} })
			for i := range 32 { // on every shard
				key := fmt.Sprint("sc:", i)
				command := NewCommand(key, "SET", key, "1")
				if db.Confirm(t.Context(), command); command.Err != nil {
					t.Fatal(command.Err)
				}
			}
			foreign := openIdle(t, url, func(o *Options) { o.TLS = TLS{CAFile: other.CAFile, ServerName: name} })
			if err := foreign.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "REDIS_CA_FILE") {
				t.Errorf("with another authority: %v", err)
			}
		})
	}
}

// TestANewAuthorityIsUsed from the next connection on, without a restart.
func TestANewAuthorityIsUsed(t *testing.T) {
	t.Parallel()
	authority, old := cachetest.NewAuthority(t), cachetest.NewAuthority(t)
	_, secure := cachetest.RedisTLS(t, authority, []string{"127.0.0.1"}, "--tls-auth-clients", "no")
	db := openIdle(t, "rediss://"+secure, func(o *Options) { o.TLS = TLS{CAFile: old.CAFile} })
	if err := db.Check(t.Context()); err == nil {
		t.Fatal("the old authority did not sign it")
	}
	pem, err := os.ReadFile(authority.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old.CAFile, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
