package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
)

// certificateFiles are the files of a certificate, and the Files that serves it.
type certificateFiles struct {
	t                 *testing.T
	certFile, keyFile string
	certificate       *Files
	log               cachetest.Log
}

// served returns the name in the certificate that a client gets.
func (f *certificateFiles) served() string {
	f.t.Helper()
	pair, err := f.certificate.Config().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		f.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return leaf.Subject.CommonName
}

func (f *certificateFiles) do(steps ...error) {
	f.t.Helper()
	if err := errors.Join(steps...); err != nil {
		f.t.Fatal(err)
	}
}

// next makes another certificate in another folder, and returns its files.
func (f *certificateFiles) next(name string) (certFile, keyFile string) {
	dir := f.t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	writeCertificate(f.t, certFile, keyFile, name)
	return certFile, keyFile
}

// TestACertificateIsLoadedWhenItIsComplete: within a second and without a restart. Broken files
// are ignored, reported once, and read again.
func TestACertificateIsLoadedWhenItIsComplete(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault func(*certificateFiles) (repair func())
	}{
		"broken": {func(f *certificateFiles) func() {
			f.do(os.WriteFile(f.certFile, []byte("broken"), 0o600))
			return func() { writeCertificate(t, f.certFile, f.keyFile, "second") }
		}},
		"gone": {func(f *certificateFiles) func() {
			f.do(os.Remove(f.keyFile))
			return func() { writeCertificate(t, f.certFile, f.keyFile, "second") }
		}},
		"unreadable after it was replaced": {func(f *certificateFiles) func() {
			// Root may read anything, so a folder stands in its place.
			cert, key := f.next("second")
			f.do(os.Rename(cert, f.certFile), os.Remove(f.keyFile), os.Mkdir(f.keyFile, 0o700))
			return func() { f.do(os.Remove(f.keyFile), os.Rename(key, f.keyFile)) }
		}},
		"the certificate is replaced before the key": {func(f *certificateFiles) func() {
			cert, key := f.next("second")
			f.do(os.Rename(cert, f.certFile))
			return func() { f.do(os.Rename(key, f.keyFile)) }
		}},
		"the key is replaced before the certificate": {func(f *certificateFiles) func() {
			cert, key := f.next("second")
			f.do(os.Rename(key, f.keyFile))
			return func() { f.do(os.Rename(cert, f.certFile)) }
		}},
		"half written": {func(f *certificateFiles) func() {
			cert, key := f.next("second")
			complete, err := os.ReadFile(cert)
			f.do(err, os.WriteFile(f.certFile, complete[:len(complete)/2], 0o600), os.Rename(key, f.keyFile))
			return func() { f.do(os.WriteFile(f.certFile, complete, 0o600)) }
		}},
		"written again with its old date": {func(f *certificateFiles) func() {
			before, err := os.Stat(f.certFile)
			f.do(err, os.WriteFile(f.certFile, []byte("broken"), 0o600), os.Chtimes(f.certFile, before.ModTime(), before.ModTime()))
			return func() {
				writeCertificate(t, f.certFile, f.keyFile, "second")
				f.do(os.Chtimes(f.certFile, before.ModTime(), before.ModTime()), os.Chtimes(f.keyFile, before.ModTime(), before.ModTime()))
			}
		}},
	} {
		f := &certificateFiles{t: t}
		f.certFile, f.keyFile = f.next("first")
		var err error
		f.certificate, err = Load(f.certFile, f.keyFile, slog.New(slog.NewTextHandler(&f.log, nil)))
		f.do(err)
		synctest.Test(t, func(t *testing.T) {
			go func() { _ = f.certificate.Run(t.Context()) }()
			repair := test.fault(f)
			<-time.After(time.Minute) // by the clock of the bubble, as below
			if got := f.served(); got != "first" {
				t.Errorf("%s: %s is served meanwhile", name, got)
			}
			repair()
			<-time.After(checkEvery + time.Millisecond)
			synctest.Wait()
			if got := f.served(); got != "second" {
				t.Errorf("%s: correct again, and %s is served", name, got)
			}
		})
		if reported := strings.Count(f.log.String(), "level=WARN"); reported != 1 || !strings.Contains(f.log.String(), "read again") {
			t.Errorf("%s: reported %d times\n%s", name, reported, f.log.String())
		}
	}
}

// TestAnUnchangedCertificateIsNotLoadedAgain. It also checks that Load refuses files without a
// certificate.
func TestAnUnchangedCertificateIsNotLoadedAgain(t *testing.T) {
	t.Parallel()
	f := &certificateFiles{t: t}
	f.certFile, f.keyFile = f.next("first")
	c, err := Load(f.certFile, f.keyFile, slog.New(slog.NewTextHandler(&f.log, nil)))
	f.do(err)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f.do(c.Run(ctx))
	})
	if f.log.String() != "" {
		t.Errorf("nothing has happened, and it says %s", f.log.String())
	}
	if _, err := Load(f.certFile, f.certFile+".none", nil); err == nil || !strings.Contains(err.Error(), "TLS_KEY_FILE") {
		t.Errorf("no key: %v", err)
	}
}

func writeCertificate(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	template.Subject.CommonName = name
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
