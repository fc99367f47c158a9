package cachetest

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// Kind is a kind of Redis, by its name in tests.
type Kind string

// The kinds of Redis that the service supports. No primary of them fails over by itself.
const (
	Single    Kind = "redis"
	Clustered Kind = "cluster"
	Watched   Kind = "sentinel"
	Mini      Kind = "miniredis" // for laptops; it has no ACL
)

// Running is a Redis of some kind that was started for a test.
type Running struct {
	URL     string
	Servers []*Server // the nodes that have data; none of Mini
}

// Start starts a Redis of this kind.
func (k Kind) Start(t testing.TB) Running {
	t.Helper()
	switch k {
	case Single:
		s := Redis(t)
		return Running{s.URL(), []*Server{s}}
	case Clustered:
		c := Cluster(t)
		return Running{c.URL(), c.Servers()}
	case Watched:
		s := Sentinel(t)
		return Running{s.URL(), []*Server{s.Primary, s.Replica}}
	case Mini:
		return Running{URL: "redis://" + miniredis.RunT(t).Addr()}
	}
	t.Fatalf("there is no Redis of kind %q", k)
	return Running{}
}

// LeastURL returns a URL for a user who may do what deploy/redis.acl says, and nothing else.
func (r Running) LeastURL(t testing.TB) string {
	t.Helper()
	return AsUser(r.URL, "statusd", LeastACL(t), r.Servers...)
}

// Each runs a test on a Redis of each kind, in parallel.
func Each(t *testing.T, test func(*testing.T, Running), kinds ...Kind) {
	t.Helper()
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			test(t, k.Start(t))
		})
	}
}
