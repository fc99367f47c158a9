package cachetest

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// When a node counts as down, in milliseconds.
const (
	nodeTimeout = "1000"
	never       = "3600000"
)

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

// Cluster starts a cluster, and returns when every node has joined. Until Failover is called, no
// node counts as down, even if a busy machine delays it.
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
	Eventually(t, "no node counts as down", func() bool {
		c.await(t, "the cluster is complete and replicated", complete)
		c.set("cluster-node-timeout", never)
		for _, s := range all {
			if !complete(s) { // one counted as down right before, and would forever
				c.set("cluster-node-timeout", nodeTimeout)
				return false
			}
		}
		return true
	})
	return c
}

// down is the flag of a node that another believes to be down. Another flag is nofailover.
var down = regexp.MustCompile(`[ ,]fail\b`)

// complete reports whether a node knows the whole cluster and has its own primary or replica.
func complete(s *Server) bool {
	state, nodes, replication := s.Text("CLUSTER INFO"), s.Text("CLUSTER NODES"), s.Text("INFO replication")
	return strings.Contains(state, "cluster_state:ok") && strings.Count(nodes, "slave") == clusterShards && !down.MatchString(nodes) &&
		(strings.Contains(replication, "master_link_status:up") || strings.Contains(replication, "connected_slaves:1"))
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
	return start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", nodeTimeout, "--cluster-replica-no-failover", "yes",
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

// Failover turns failovers on: from now on, a replica replaces its primary if that is down for a
// second. A test calls it right before its fault, so that a busy machine causes none earlier.
func (c *ClusterServers) Failover() {
	c.set("cluster-replica-no-failover", "no")
	c.set("cluster-node-timeout", nodeTimeout)
}

func (c *ClusterServers) set(setting, value string) {
	for _, s := range c.Servers() {
		s.Do("CONFIG SET " + setting + " " + value)
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
