package wire

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"syscall"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestAConnectionOverTLSMayBeIdleBeforeAndBehindTheHandshake, but not within it: browsers open
// connections in advance.
func TestAConnectionOverTLSMayBeIdleBeforeAndBehindTheHandshake(t *testing.T) {
	t.Parallel()
	certificate := testCertificate(t)
	start := func() (*bench, func(stage)) {
		b := connectBy(t, true, echo, func(c Conn) Conn {
			within := tls.Server(c.Conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
			return Conn{Conn: within, Socket: c.Socket, Begin: within.Handshake}
		})
		return b, func(want stage) {
			cachetest.Eventually(t, "the stage is reached", func() bool {
				all := b.all()
				return len(all) == 1 && stage(all[0].stage.Load()>>32) == want
			})
		}
	}
	sweep := func(b *bench, seconds int) {
		for range seconds {
			b.sweep()
		}
	}

	b, reaches := start()
	reaches(fresh)
	sweep(b, idleLimit-1)
	client := tls.Client(b.client, &tls.Config{InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	reaches(fresh)
	b.in = bufio.NewReader(client)
	for range 3 {
		sweep(b, idleLimit-1)
		if _, err := io.WriteString(client, aPoll); err != nil {
			t.Fatal(err)
		}
		if got, body := b.next(); got.StatusCode != http.StatusOK {
			t.Errorf("%d %s", got.StatusCode, body)
		}
		reaches(idle)
	}

	b, reaches = start()
	b.send("\x16")
	reaches(begun)
	sweep(b, headLimit)
	b.mustEndWith("within the handshake", syscall.ECONNRESET)
}
