package httpapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificateCheck is how often the files of a certificate are read.
const certificateCheck = time.Second

// Certificate is a certificate in files, loaded again when they change. While the files
// do not fit each other, such as when only one is replaced yet, the last certificate
// stays in use.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	cert, key         []byte // the files as they were loaded
	failed            bool   // the latest attempt has, and that is logged
}

// LoadCertificate reads a certificate chain and its key.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := c.load(); err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE, TLS_KEY_FILE: %w", err)
	}
	return c, nil
}

// Config returns what a listener needs to use the certificate.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Ends returns when the certificate in use is no longer valid.
func (c *Certificate) Ends() time.Time { return c.current.Load().Leaf.NotAfter }

// Run loads the files again whenever they change, until ctx ends.
func (c *Certificate) Run(ctx context.Context) error {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.reload()
		}
	}
}

// reload loads the files if they have changed. A failure is logged once, and loading is
// tried again at the next check.
func (c *Certificate) reload() {
	changed, err := c.load()
	switch {
	case err != nil && !c.failed:
		c.log.Warn("new certificate not usable; the old one stays, and it is tried each second", "error", err)
	case err == nil && (changed || c.failed):
		c.log.Info("certificate read again", "file", c.certFile)
	}
	c.failed = err != nil
}

// load reports whether the files have changed. They are small, so they are compared
// and not their dates.
func (c *Certificate) load() (changed bool, err error) {
	cert, certErr := os.ReadFile(c.certFile)
	key, keyErr := os.ReadFile(c.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return false, err
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, err
	}
	c.cert, c.key = cert, key
	c.current.Store(&pair)
	return true, nil
}
