package redisdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// TLS configures how a Redis with rediss in its URL is verified, and how it verifies us. The
// files are read for every connection, so new files are used from the next connection on.
type TLS struct {
	CAFile            string // the only CA certificates to trust, as PEM; empty: those of the system
	CertFile, KeyFile string // client certificate, as PEM; empty: none
	ServerName        string // name in the certificate of Redis; empty: the host that is dialed
}

// CheckCA reads CAFile. Its error says why it cannot be used.
func (t TLS) CheckCA() error {
	_, err := t.authorities()
	return err
}

// CheckPair reads CertFile and KeyFile. Its error says why they cannot be used.
func (t TLS) CheckPair() error {
	_, err := t.pair()
	return err
}

func (t TLS) authorities() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", t.CAFile)
	}
	return pool, nil
}

func (t TLS) pair() ([]tls.Certificate, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, err
	}
	return []tls.Certificate{pair}, nil
}

// config returns the TLS configuration for a host.
func (t TLS) config(addr string) (*tls.Config, error) {
	authorities, err := t.authorities()
	if err != nil {
		return nil, fmt.Errorf("REDIS_CA_FILE: %w", err)
	}
	pair, err := t.pair()
	if err != nil {
		return nil, fmt.Errorf("REDIS_CERT_FILE, REDIS_KEY_FILE: %w", err)
	}
	name := t.ServerName
	if name == "" {
		name, _, _ = net.SplitHostPort(addr)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: authorities, Certificates: pair}, nil
}

// keepAlive is the value of go-redis, which go-redis only sets if it dials itself.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// dialer returns a dialer for the nodes, with TLS if the URL requires it.
func (a *address) dialer(dial Dialer) Dialer {
	if !a.tls {
		return a.plainDialer(dial)
	}
	if dial == nil {
		dial = (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext
	}
	_, limit := a.bounds(writes)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit) // go-redis sets none for a subscription
		defer cancel()
		config, err := a.files.config(addr)
		if err != nil {
			return nil, err
		}
		plain, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close() // the handshake says why
			return nil, err
		}
		return &alertedConn{Conn: conn}, nil
	}
}

// alertedConn is a connection that fails with the alert of Redis if it is refused. With TLS 1.3,
// Redis checks the client certificate when the client has ended its handshake. The first write
// of the client may then meet a reset, before the alert was read.
type alertedConn struct {
	*tls.Conn
	heard atomic.Bool // something was read
}

// Read implements net.Conn.
func (c *alertedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *alertedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if c.heard.Load() || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return n, err
	}
	var first [1]byte
	if _, refused := c.Conn.Read(first[:]); refused != nil && strings.Contains(refused.Error(), "remote error: tls:") {
		return n, refused
	}
	return n, err
}

// certificateError explains what is wrong with a certificate, and what to do; empty if err has
// another cause.
func certificateError(err error, files TLS) string {
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		if files.CAFile != "" {
			return "no authority in REDIS_CA_FILE has signed the certificate of Redis; add the certificate of the right authority to that file"
		}
		return "the certificate of Redis is signed by an unknown authority; set REDIS_CA_FILE to the certificate of that authority"
	}
	if other := (x509.HostnameError{}); errors.As(err, &other) {
		return "the certificate of Redis is for another name than " + other.Host + " (" + other.Error() + "); set REDIS_SERVER_NAME to the name in it"
	}
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) {
		return "the certificate of Redis is not valid (" + invalid.Error() + "); renew it"
	}
	return clientCertificateError(err, files)
}

// alerts with which a server refuses the certificate of a client, or requires one.
var alerts = []string{"certificate required", "bad certificate", "unknown certificate", "expired certificate", "revoked certificate", "unsupported certificate"}

func clientCertificateError(err error, files TLS) string {
	for _, alert := range alerts {
		if !strings.Contains(err.Error(), "remote error: tls: "+alert) {
			continue
		}
		if files.CertFile == "" {
			return "Redis requires a client certificate (" + alert + "); set REDIS_CERT_FILE and REDIS_KEY_FILE"
		}
		return "Redis refuses the certificate in REDIS_CERT_FILE (" + alert + "); use one that an authority of Redis has signed and that has not expired"
	}
	return ""
}
