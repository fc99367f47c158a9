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
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// envCert and envKey are the files by which floor serves over TLS; empty: it does not.
const (
	envCert = "TLS_CERT_FILE" // as statusd has them
	envKey  = "TLS_KEY_FILE"
)

// hotOverTLS compares reads that the near cache answers over TLS.
func (b *bench) hotOverTLS(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	record, err := fill(ctx, redis, 1, bodySize)
	if err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	cert, err := writeCertificate(b.dir)
	if err != nil {
		return nil, err
	}
	serve, err := ps.self("serve", serveEnv(redis, cert...)...)
	if err != nil {
		return nil, err
	}
	url := "https://" + serve.addr + statusPath + string(record.ARN)
	if err := serve.awaitTrust(ctx, url, key); err != nil {
		return nil, err
	}
	floor, err := b.startFloor(ctx, ps, url, key, cert...)
	if err != nil {
		return nil, err
	}
	const connections = 16
	over := func(p *peer) load {
		return load{addr: p.addr, connections: connections, request: statusRequest(key, 0), secure: true}
	}
	c, err := interleave(ctx, b.rounds, []contender{
		underLoad(statusd, over(serve), b.turn, serve, redis), underLoad(bareHandler, over(floor), b.turn, floor),
	})
	if err != nil {
		return nil, err
	}
	return []line{compare("hot read of 1 kB over TLS, CPU per request", c, statusd, bareHandler, atMost(0.75))}, mostlyHits(ctx, serve)
}

// clientTLS trusts any certificate: the peers' is made for this run. It requests HTTP/1.1.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
}

// dialTLS is dial over TLS.
func dialTLS(ctx context.Context, addr string, deadline time.Time) (net.Conn, error) {
	c, err := dial(ctx, addr, deadline)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(c, clientTLS())
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return secure, nil
}

// writeCertificate writes a certificate for loopback and its key, and returns the settings
// that name the files.
func writeCertificate(dir string) (env []string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	cert, err1 := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	for _, each := range []struct {
		setting, kind string
		text          []byte
	}{{envCert, "CERTIFICATE", cert}, {envKey, "PRIVATE KEY", private}} {
		file := filepath.Join(dir, each.setting)
		env = append(env, each.setting+"="+file)
		text := pem.EncodeToMemory(&pem.Block{Type: each.kind, Bytes: each.text})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
	}
	return env, nil
}
