package redisdb

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"statuscache/cache/cachetest"
)

// expectRefused checks that a start on a REDIS_URL is refused by one line that has some
// words. At once, unless waiting may help. Like a start, it tries again if the connection broke.
func expectRefused(t *testing.T, url string, atOnce bool, words ...string) {
	t.Helper()
	var err error
	cachetest.Eventually(t, "a check of "+url+" ends", func() bool {
		err = openIdle(t, url).Check(t.Context())
		return !errors.Is(err, io.EOF)
	})
	if err == nil {
		t.Errorf("%s is taken", url)
		return
	}
	if errors.Is(err, ErrUnfit) != atOnce || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "; ") {
		t.Errorf("%s: %q; want one line with a fix, at once: %v", url, err, atOnce)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", url, err, word)
		}
	}
}

// withUser puts a user into a REDIS_URL.
func withUser(url, user string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }

// TestARedisOfAnotherKindIsRefused: what REDIS_URL says and what is there differ, and the
// error names the form that is right.
func TestARedisOfAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	alone, node := cachetest.Redis(t), cachetest.Redis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(cachetest.FreePort(t)))
	node.Do("CLUSTER ADDSLOTSRANGE 0 16383")
	s := cachetest.Sentinel(t)
	sentinels := strings.TrimSuffix(s.URL(), "/main")
	expectRefused(t, node.URL(), true, "node of a cluster", "redis+cluster://")
	expectRefused(t, node.URL()+"/1", true, "node of a cluster", "redis+cluster://")
	expectRefused(t, strings.Replace(alone.URL(), "redis", "redis+cluster", 1), true, "not a node of a cluster", "redis://")
	expectRefused(t, strings.Replace(alone.URL(), "redis", "redis+sentinel", 1)+"/main", true, "not a Sentinel", "redis://")
	expectRefused(t, "redis://"+s.Sentinels[0].Addr, true, "Sentinel", "redis+sentinel://")
	expectRefused(t, sentinels+"/prime", true, `"prime"`, "only main")
	expectRefused(t, s.Replica.URL(), false, "replica of "+s.Primary.Addr)
	if err := openIdle(t, s.URL()).Check(t.Context()); err != nil {
		t.Errorf("the control, in which all is right: %v", err)
	}
	for _, w := range s.Sentinels {
		w.Do("ACL SETUSER watcher on >seen +@all ~* &*")
		w.Do("ACL SETUSER default resetpass >guarded")
	}
	expectRefused(t, s.URL(), true, "?sentinel_password=")
	expectRefused(t, s.URL()+"?sentinel_password=wrong", true, "sentinel_password")
	if err := openIdle(t, s.URL()+"?sentinel_username=watcher&sentinel_password=seen").Check(t.Context()); err != nil {
		t.Errorf("a user of the Sentinels: %v", err)
	}
}

// TestARefusedLoginHasAnErrorWithTheReason: each mistake in user and password has its own fix.
func TestARefusedLoginHasAnErrorWithTheReason(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	s.Do("ACL SETUSER ada on >secret ~* &* +@all")
	s.Do("ACL SETUSER blind on >secret ~* &* +@all -info")
	s.Do("CONFIG SET requirepass guarded")
	expectRefused(t, s.URL(), true, "requires a password", "redis://user:password@host")
	expectRefused(t, withUser(s.URL(), ":wrong"), true, "password in REDIS_URL")
	expectRefused(t, withUser(s.URL(), "eve:secret"), true, "user or the password")
	expectRefused(t, withUser(s.URL(), "blind:secret"), true, "ACL SETUSER blind +info")
	expectRefused(t, withUser(s.URL(), "ada:secret")+"/99", true, "database")
	if err := openIdle(t, withUser(s.URL(), "ada:secret")).Check(t.Context()); err != nil {
		t.Errorf("the control: %v", err)
	}
}

// TestTheWrongSchemeForTLSIsNamed: redis:// for a port of TLS, and the other way round.
func TestTheWrongSchemeForTLSIsNamed(t *testing.T) {
	t.Parallel()
	plain, secure := cachetest.RedisTLS(t, cachetest.NewAuthority(t), []string{"127.0.0.1"}, "--tls-auth-clients", "no")
	expectRefused(t, "redis://"+secure, true, "uses TLS", "rediss://")
	expectRefused(t, "redis+cluster://"+secure, true, "uses TLS", "rediss://")
	expectRefused(t, "redis+sentinel://"+secure+"/main", true, "uses TLS", "rediss://")
	expectRefused(t, strings.Replace(plain.URL(), "redis", "rediss", 1), true, "does not use TLS", "redis://")
}

// TestARedisThatTakesNoWritesSaysWhy: at the start, and when it comes to that later.
func TestARedisThatTakesNoWritesSaysWhy(t *testing.T) {
	t.Parallel()
	s, other := cachetest.Redis(t, "--maxmemory", "100mb"), cachetest.Redis(t)
	host, port, _ := net.SplitHostPort(other.Addr)
	c := openTest(t, s.URL())
	for name, fault := range map[string]struct {
		begin, end string
		atOnce     bool
		words      []string
	}{
		"full":                {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 100mb", false, []string{"full", "maxmemory", "RETENTION"}},
		"too few replicas":    {"CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", false, []string{"too few replicas", "min-replicas-to-write"}},
		"scripts forbidden":   {"ACL SETUSER default -evalsha", "ACL SETUSER default +evalsha", true, []string{"ACL SETUSER default +evalsha"}},
		"became a replica":    {"REPLICAOF " + host + " " + port, "REPLICAOF NO ONE", false, []string{"replica", "primary"}},
		"keys out of bounds":  {"ACL SETUSER default resetkeys ~other:*", "ACL SETUSER default ~*", true, []string{"ACL SETUSER default ~sc:*"}},
		"writes out of bound": {"ACL SETUSER default -set", "ACL SETUSER default +set", true, []string{"+set"}},
	} {
		cachetest.Eventually(t, "Redis takes writes", func() bool { return c.Ping(t.Context()) == nil && c.Writable() == nil })
		s.Do(fault.begin)
		expectRefused(t, s.URL(), fault.atOnce, fault.words...)
		cachetest.Eventually(t, name+" is reported", func() bool {
			err := c.Writable()
			for _, word := range fault.words {
				if err == nil || !strings.Contains(err.Error(), word) {
					return false
				}
			}
			return strings.Contains(err.Error(), "; ")
		})
		s.Do(fault.end)
	}
}

// TestARedisThatAcceptsNoConnectionSaysWhy, and not that a pipe is broken.
func TestARedisThatAcceptsNoConnectionSaysWhy(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	cachetest.Eventually(t, "Redis takes writes", func() bool { return c.Ping(t.Context()) == nil && c.Writable() == nil })
	s.Do("CONFIG SET maxclients 1")
	idle, err := net.Dial("tcp", s.Addr) // together with those that are open, more than allowed
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	expectRefused(t, s.URL(), false, "raise maxclients")
	for _, said := range []string{"-DENIED Redis is running in protected mode because protected mode is enabled\r\n", "-ERR max number of clients reached\r\n"} {
		word := map[bool]string{true: "protected mode", false: "maxclients"}[strings.HasPrefix(said, "-DENIED")]
		expectRefused(t, "redis://"+refusing(t, said), word == "protected mode", word)
	}
}

// refusing returns the address of a server that says one thing and hangs up, as Redis does
// with a connection that it does not accept.
func refusing(t *testing.T, said string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(said))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// TestWhatIsNoWholeRedisIsNamed: a command is disabled, or another program answers.
func TestWhatIsNoWholeRedisIsNamed(t *testing.T) {
	t.Parallel()
	expectRefused(t, cachetest.Redis(t, "--rename-command", "EVALSHA", "").URL(), true, "the command EVALSHA", "rename-command")
	expectRefused(t, cachetest.Redis(t, "--rename-command", "PUBLISH", "").URL(), true, "the command PUBLISH", "rename-command")
	expectRefused(t, "redis://"+refusing(t, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), false, "web server")
}

// TestTheRedisOfALaptopIsAccepted: it lacks commands that only several machines need.
func TestTheRedisOfALaptopIsAccepted(t *testing.T) {
	t.Parallel()
	if err := openIdle(t, "redis://"+miniredis.RunT(t).Addr()).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestABrokenClusterIsRefused: a shard without a primary ends writes to all.
func TestABrokenClusterIsRefused(t *testing.T) {
	t.Parallel()
	servers := cachetest.Cluster(t)
	servers.Failover()
	servers.Replicas[1].Kill()
	servers.Primaries[1].Kill()
	cachetest.Eventually(t, "the cluster is down", func() bool {
		return strings.Contains(servers.Primaries[0].Text("CLUSTER INFO"), "cluster_state:fail")
	})
	expectRefused(t, "redis+cluster://"+servers.Primaries[0].Addr, false, "cluster is down", "redis-cli --cluster check")
}
