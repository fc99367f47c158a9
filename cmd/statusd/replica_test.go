package main

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestStatusdStartsWhileTheReplicaIsAway: reads need no replica, so a restart or a larger
// deployment must not wait for one. Health says that it is missing.
func TestStatusdStartsWhileTheReplicaIsAway(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	primary := cachetest.Redis(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := cachetest.Redis(t, "--replicaof", host, port)
	first := startDaemon(t, primary, "", "ROLE=api")
	cachetest.Eventually(t, "writes need the replica", func() bool {
		seen, err := first.cache.DB().Writers.HGet(t.Context(), "sc:{0}:replica", "seen").Int64()
		return err == nil && seen > 0
	})
	e := runs(t, "replicated", "1")
	first.apply(t, e)
	first.Kill()
	replica.Kill()
	cachetest.Eventually(t, "the replica is gone", func() bool { return primary.Info("connected_slaves") == "0" })

	d := startDaemon(t, primary, "", "ROLE=api")
	if status, body := d.status(e.ARN, d.key); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	cachetest.Eventually(t, "health says that the replica is missing", func() bool {
		_, body := get("http://"+d.api+"/v1/health", "")
		return strings.Contains(body, `"degraded"`) && strings.Contains(body, "too few Redis replicas confirm")
	})
}
