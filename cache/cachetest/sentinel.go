package cachetest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// downAfter is when a primary counts as down after Failover has been called, in milliseconds.
const downAfter = "1000"

// SentinelServers is a primary with one replica, watched by three Sentinels.
type SentinelServers struct {
	Primary   *Server
	Replica   *Server
	Sentinels []*Server
}

// masterName is what the Sentinels call the primary.
const masterName = "main"

// Sentinel starts a primary with a replica and its Sentinels, and returns when these know each
// other and the replica. Until Failover is called, the primary does not count as down, even if a
// busy machine delays it.
func Sentinel(t testing.TB) *SentinelServers {
	t.Helper()
	SkipShort(t, "redis-server")
	return watched(t, &SentinelServers{Primary: Redis(t), Replica: Redis(t)}, nil)
}

// SentinelTLS is Sentinel with servers and Sentinels that speak TLS, with certificates for a
// name. Clients need none.
func SentinelTLS(t testing.TB, a *Authority, name string) *SentinelServers {
	t.Helper()
	SkipShort(t, "redis-server")
	anyone := []string{"--tls-auth-clients", "no", "--tls-replication", "yes"}
	primary, _ := RedisTLS(t, a, []string{name}, anyone...)
	replica, _ := RedisTLS(t, a, []string{name}, anyone...)
	return watched(t, &SentinelServers{Primary: primary, Replica: replica}, func() []string {
		cert, key := a.Certificate(name)
		return []string{"tls-cert-file " + cert, "tls-key-file " + key, "tls-ca-cert-file " + a.CAFile, "tls-auth-clients no", "tls-replication yes"}
	})
}

// watched adds the replica and the Sentinels. secure returns the settings for TLS of one; nil:
// they do not speak it.
func watched(t testing.TB, s *SentinelServers, secure func() []string) *SentinelServers {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.Primary.public())
	s.Replica.Do("REPLICAOF " + host + " " + port)
	Eventually(t, "the replica is in step", func() bool {
		return strings.Contains(s.Replica.Text("INFO replication"), "master_link_status:up")
	})
	for range 3 {
		s.Sentinels = append(s.Sentinels, watcher(t, host, port, secure))
	}
	for _, w := range s.Sentinels {
		Eventually(t, "the Sentinels know each other and the replica", func() bool {
			return strings.Contains(w.Text("INFO sentinel"), "status=ok,address="+s.Primary.public()+",slaves=1,sentinels=3")
		})
	}
	return s
}

// watcher starts one Sentinel. It keeps what it learns in its configuration
// file, so it insists on having one.
func watcher(t testing.TB, host, port string, secure func() []string) *Server {
	t.Helper()
	own := strconv.Itoa(FreePort(t))
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", own), t: t, dir: t.TempDir()}
	file := filepath.Join(s.dir, "sentinel.conf")
	s.args = []string{file, "--sentinel"}
	settings := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor %s %s %s 2\n", own, masterName, host, port) +
		fmt.Sprintf("sentinel down-after-milliseconds %s %s\nsentinel failover-timeout %s 3000\n", masterName, never, masterName)
	if secure != nil {
		other := strconv.Itoa(FreePort(t))
		s.Secure = net.JoinHostPort("127.0.0.1", other)
		settings += strings.Join(append(secure(), "tls-port "+other, ""), "\n")
	}
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Failover turns failovers on: from now on, the replica replaces the primary if that is down for a
// second. A test calls it right before its fault, so that a busy machine causes none earlier.
func (s *SentinelServers) Failover() {
	for _, w := range s.Sentinels {
		w.Do("SENTINEL SET " + masterName + " down-after-milliseconds " + downAfter)
	}
}

// URL returns the Sentinels and the name of the primary as a REDIS_URL.
func (s *SentinelServers) URL() string {
	return scheme(s.Sentinels) + "+sentinel://" + addresses(s.Sentinels) + "/" + masterName
}
