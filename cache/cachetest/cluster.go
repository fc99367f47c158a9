package cachetest

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nodeTimeout is when a node counts as down, in milliseconds.
const nodeTimeout = "1000"

// ClusterServers is a Redis Cluster for one test: three primaries, each with a replica.
type ClusterServers struct {
	Primaries []*Server
	Replicas  []*Server // the i-th replicates the i-th primary
}

// handshakeLimit is longer than two nodes try to get to know each other. If a busy machine takes
// longer than nodeTimeout for it, they give up, and must be introduced again.
const handshakeLimit = 3 * time.Second

// clusterShards is the smallest number of primaries that can agree that one is down.
const clusterShards = 3

// Cluster starts a cluster in which a replica replaces its primary when that is down for
// a second. It returns when every node has joined.
func Cluster(t testing.TB) *ClusterServers {
	t.Helper()
	return cluster(t, Redis)
}

// ClusterTLS starts a Cluster that speaks TLS with clients and among its nodes, with
// certificates for a name. Clients need none.
func ClusterTLS(t testing.TB, a *Authority, name string) *ClusterServers {
	t.Helper()
	return cluster(t, func(t testing.TB, args ...string) *Server {
		t.Helper()
		s, _ := RedisTLS(t, a, []string{name}, append([]string{"--tls-auth-clients", "no", "--tls-cluster", "yes", "--tls-replication", "yes"}, args...)...)
		return s
	})
}

func cluster(t testing.TB, start func(t testing.TB, args ...string) *Server) *ClusterServers {
	t.Helper()
	SkipShort(t, "redis-server")
	c := &ClusterServers{}
	for range clusterShards {
		c.Primaries = append(c.Primaries, clusterNode(t, start))
		c.Replicas = append(c.Replicas, clusterNode(t, start))
	}
	for i, s := range c.Primaries {
		s.Do(fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*16384/clusterShards, (i+1)*16384/clusterShards-1))
	}
	all := c.Servers()
	for i, s := range all {
		s.Do(fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1)) // else they would have to settle it first
	}
	var met time.Time
	c.await(t, "every node knows every other", func(s *Server) bool {
		if strings.Contains(s.Text("CLUSTER INFO"), fmt.Sprintf("cluster_known_nodes:%d\r", len(all))) {
			return true
		}
		if time.Since(met) > handshakeLimit {
			c.meet()
			met = time.Now()
		}
		return false
	})
	for i, s := range c.Replicas {
		s.Do("CLUSTER REPLICATE " + c.Primaries[i].Text("CLUSTER MYID"))
	}
	c.await(t, "the cluster is complete and replicated", func(s *Server) bool {
		state, replication := s.Text("CLUSTER INFO"), s.Text("INFO replication")
		return strings.Contains(state, "cluster_state:ok") && strings.Count(s.Text("CLUSTER NODES"), "slave") == clusterShards &&
			(strings.Contains(replication, "master_link_status:up") || strings.Contains(replication, "connected_slaves:1"))
	})
	return c
}

// meet introduces the first node to all others.
func (c *ClusterServers) meet() {
	all := c.Servers()
	for _, s := range all[1:] {
		host, port, _ := net.SplitHostPort(s.public())
		all[0].Do(fmt.Sprintf("CLUSTER MEET %s %s %s", host, port, s.busPort()))
	}
}

func clusterNode(t testing.TB, start func(t testing.TB, args ...string) *Server) *Server {
	t.Helper()
	return start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", nodeTimeout,
		"--cluster-port", strconv.Itoa(FreePort(t))) // last: see busPort
}

// ID returns the ID of the server in its cluster.
func (s *Server) ID() string { return s.Text("CLUSTER MYID") }

// busPort is the port on which the nodes of a cluster talk to each other.
func (s *Server) busPort() string { return s.args[len(s.args)-1] }

func (c *ClusterServers) await(t testing.TB, what string, met func(*Server) bool) {
	t.Helper()
	for _, s := range c.Servers() {
		Eventually(t, what, func() bool { return met(s) })
	}
}

// NoFailover turns failovers off: from now on no node counts as down, even if a busy
// machine delays it. It is for tests of something else.
func (c *ClusterServers) NoFailover() *ClusterServers {
	for _, s := range c.Servers() {
		s.Do("CONFIG SET cluster-node-timeout 3600000")
	}
	return c
}

// Failover turns failovers on again: a test calls it right before its fault, so that a busy
// machine causes none earlier.
func (c *ClusterServers) Failover() {
	for _, s := range c.Servers() {
		s.Do("CONFIG SET cluster-node-timeout " + nodeTimeout)
	}
}

// Servers returns every node, primaries first.
func (c *ClusterServers) Servers() []*Server {
	return append(append([]*Server(nil), c.Primaries...), c.Replicas...)
}

// URL returns the cluster as a REDIS_URL.
func (c *ClusterServers) URL() string {
	return scheme(c.Servers()) + "+cluster://" + addresses(c.Servers())
}

func scheme(servers []*Server) string {
	if servers[0].Secure != "" {
		return "rediss"
	}
	return "redis"
}

func addresses(servers []*Server) string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = s.public()
	}
	return strings.Join(all, ",")
}

// public is the address for clients.
func (s *Server) public() string { return cmp.Or(s.Secure, s.Addr) }
