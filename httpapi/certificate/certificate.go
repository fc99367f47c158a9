// Package certificate has the TLS certificate of the public port, and loads it again when its
// files change.
package certificate

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

// checkEvery is how often the files of a certificate are read.
const checkEvery = time.Second

// Files is a certificate in files, loaded again when they change. While the files do not
// match, such as when only one has been replaced, the last certificate stays in use.
type Files struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	cert, key         []byte // the files as they were loaded
	failed            bool   // the latest attempt failed, and this has been logged
}

// Load reads a certificate chain and its key.
func Load(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	f := &Files{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := f.load(); err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE, TLS_KEY_FILE: %w", err)
	}
	return f, nil
}

// Config returns a TLS configuration that uses the certificate.
func (f *Files) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil },
	}
}

// Ends returns when the certificate in use is no longer valid.
func (f *Files) Ends() time.Time { return f.current.Load().Leaf.NotAfter }

// warning is how long before its expiry a certificate is reported.
const warning = 7 * 24 * time.Hour

// Problem reports that the certificate in use has expired or will expire soon. Otherwise it
// is empty.
func (f *Files) Problem() string {
	switch ends := f.Ends(); {
	case !time.Now().Before(ends):
		return "certificate: it has expired"
	case time.Until(ends) < warning:
		return "certificate: it expires at " + ends.UTC().Format(time.RFC3339)
	}
	return ""
}

// Run loads the files again whenever they change, until ctx ends.
func (f *Files) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.reload()
		}
	}
}

// reload loads the files if they have changed. A failure is logged once, and loading is
// tried again at the next check.
func (f *Files) reload() {
	changed, err := f.load()
	switch {
	case err != nil && !f.failed:
		f.log.Warn("cannot use the new certificate; the old one stays in use; trying again every second", "error", err)
	case err == nil && (changed || f.failed):
		f.log.Info("TLS_CERT_FILE was read again", "file", f.certFile)
	}
	f.failed = err != nil
}

// load reports whether the files have changed. It compares the contents, not the dates,
// because the files are small.
func (f *Files) load() (changed bool, err error) {
	cert, certErr := os.ReadFile(f.certFile)
	key, keyErr := os.ReadFile(f.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return false, err
	}
	if bytes.Equal(cert, f.cert) && bytes.Equal(key, f.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, err
	}
	f.cert, f.key = cert, key
	f.current.Store(&pair)
	return true, nil
}
