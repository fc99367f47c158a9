package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
)

// TestTerminationUnderLoad: clients that ask without a pause, some over one
// connection and some with a connection for each request, and those that wait, all
// get whole answers until the process no longer listens. The control is a process
// that is killed.
func TestTerminationUnderLoad(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	for _, protocol := range []string{"h2", "http/1.1"} {
		for name, signal := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				certFile, keyFile := certificate(t)
				d := serves(t, func(env []string) *apptest.Process {
					return apptest.Start(t, "slow-redis", append(env, "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile, "SHUTDOWN_TIMEOUT=20s", "MAX_WAIT=10m"))
				})
				e := runs(t, "asked-for", "")
				d.apply(t, e)
				target := "https://" + d.api + "/v1/status/" + url.PathEscape(string(e.ARN))
				var answered, failed atomic.Int64
				var clients sync.WaitGroup
				for range 8 {
					client := secureClient(protocol, true)
					for range 10 {
						clients.Go(func() {
							if err := whole(client, target+"?wait=600", d.key); err != nil {
								if failed.Add(1); signal == syscall.SIGTERM {
									t.Error(err)
								}
							}
						})
					}
				}
				cachetest.Eventually(t, "some wait", func() bool { return d.metric("statuscache_waiting_requests") == 80 })
				for n := range cachetest.Rounds(4, 12) {
					clients.Go(func() {
						client := secureClient(protocol, n%2 == 0)
						for {
							err := whole(client, target, d.key)
							switch {
							case err == nil:
								answered.Add(1)
							case errors.Is(err, syscall.ECONNREFUSED):
								return // it does not listen any more, which is not its fault
							default:
								if failed.Add(1); signal == syscall.SIGTERM {
									t.Error(err)
								}
								return
							}
						}
					})
				}
				cachetest.Eventually(t, "others are answered", func() bool { return answered.Load() > int64(cachetest.Rounds(50, 200)) })
				d.Signal(signal)
				code := d.Wait()
				clients.Wait()
				if n := failed.Load(); signal == syscall.SIGKILL && n == 0 {
					t.Error("nobody's request failed when the process was killed, so the count proves nothing")
				} else if signal == syscall.SIGTERM && code != 0 {
					t.Errorf("exit code %d", code)
				}
				t.Logf("%d answered, %d failed", answered.Load(), failed.Load())
			})
		}
	}
}

// secureClient returns a client with connections of its own.
func secureClient(protocol string, keep bool) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: protocol == "h2", DisableKeepAlives: !keep,
	}
	if protocol != "h2" {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return &http.Client{Transport: transport}
}

// whole asks and reads the answer to its end.
func whole(client *http.Client, target, key string) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	got, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = got.Body.Close() }()
	if _, err := io.ReadAll(got.Body); err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return errors.New(got.Status)
	}
	return nil
}

// certificate returns the files of a certificate and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
