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

// TestTerminationUnderLoad: some clients send requests without a pause, over one connection or
// with a new connection for each request; others wait. All of them get complete answers until
// the process no longer listens. The control is a process that is killed.
func TestTerminationUnderLoad(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	for _, protocol := range []string{"h2", "http/1.1"} {
		for name, signal := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				certFile, keyFile := certificate(t)
				d := serves(t, func(env []string) *apptest.Process {
					return apptest.Start(t, "slow-redis", append(env, "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile, "MAX_WAIT=10m"))
				})
				e := runs(t, "asked-for", "")
				d.apply(t, e)
				target := "https://" + d.api + "/v1/status/" + url.PathEscape(string(e.ARN))
				c := &drained{t: t, key: d.key, mayFail: signal == syscall.SIGKILL}
				for range 8 {
					client := secureClient(protocol, true)
					for range 10 {
						c.all.Go(func() { c.poll(client, target+"?wait=600") })
					}
				}
				cachetest.Eventually(t, "some wait", func() bool { return d.metric("statuscache_waiting_requests") == 80 })
				for n := range cachetest.Rounds(4, 12) {
					c.all.Go(func() { c.askAgain(secureClient(protocol, n%2 == 0), target) })
				}
				cachetest.Eventually(t, "other clients get answers", func() bool { return c.answered.Load() > int64(cachetest.Rounds(50, 200)) })
				c.stopping.Store(true)
				d.Signal(signal)
				code := d.Wait()
				c.all.Wait()
				if n := c.failed.Load(); signal == syscall.SIGKILL && n == 0 {
					t.Error("no request failed when the process was killed, so the count proves nothing")
				} else if signal == syscall.SIGTERM && code != 0 {
					t.Errorf("exit code %d", code)
				}
				t.Logf("%d answered, %d failed", c.answered.Load(), c.failed.Load())
			})
		}
	}
}

// drained are the clients of a process that is asked to stop.
type drained struct {
	t                *testing.T
	key              string
	mayFail          bool
	stopping         atomic.Bool // before that, a client repeats a request that fails because the machine is busy
	answered, failed atomic.Int64
	all              sync.WaitGroup
}

func (c *drained) ask(client *http.Client, target string) error {
	for {
		if err := complete(client, target, c.key); err == nil || c.stopping.Load() {
			return err
		}
	}
}

func (c *drained) poll(client *http.Client, target string) {
	if err := c.ask(client, target); err != nil {
		c.count(err)
	}
}

// askAgain sends requests without a pause until the process no longer listens.
func (c *drained) askAgain(client *http.Client, target string) {
	err := c.ask(client, target)
	for ; err == nil; err = c.ask(client, target) {
		c.answered.Add(1)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		c.count(err)
	}
}

func (c *drained) count(err error) {
	c.failed.Add(1)
	if !c.mayFail {
		c.t.Error(err)
	}
}

// secureClient returns a client with its own connections.
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

// whole sends a request and reads the answer to its end.
func complete(client *http.Client, target, key string) error {
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
