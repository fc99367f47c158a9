package httpapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// certificateCheck is how often the files of a certificate are looked at.
const certificateCheck = 10 * time.Second

// Certificate is a certificate in files, read again when they change. What
// cannot be read leaves the last good one in place.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	stamp             string // of the files as they were read
}

// LoadCertificate reads a certificate chain and its key.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
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

// Run reads the files again whenever they change, until ctx ends.
func (c *Certificate) Run(ctx context.Context) error {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if c.stampNow() == c.stamp {
			continue
		}
		if err := c.load(); err != nil {
			c.log.Warn("new certificate not usable; keeping the old one", "error", err)
		} else {
			c.log.Info("certificate read again")
		}
	}
}

func (c *Certificate) load() error {
	c.stamp = c.stampNow() // before reading: a change meanwhile is noticed next time
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current.Store(&pair)
	return nil
}

// stampNow tells two states of the files apart.
func (c *Certificate) stampNow() string {
	var stamp strings.Builder
	for _, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			_, _ = fmt.Fprint(&stamp, info.ModTime().UnixNano(), " ", info.Size(), " ")
		}
	}
	return stamp.String()
}
