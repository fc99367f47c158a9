package cache

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
)

// leastRules are the ACL rules of deploy/redis.acl.
func leastRules(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../deploy/redis.acl")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 || fields[0] != "user" || fields[2] != "on" {
		t.Fatalf("deploy/redis.acl begins %q", fields[:min(4, len(fields))])
	}
	return fields[4:] // without the password
}

// as has a user of these rules on each server, and returns the URL with it.
func as(url, user string, rules []string, servers ...*cachetest.Server) string {
	for _, s := range servers {
		s.Do("ACL SETUSER " + user + " on >secret " + strings.Join(rules, " "))
	}
	return strings.Replace(url, "://", "://"+user+":secret@", 1)
}

// TestTheLeastACLIsEnough: the whole suite passes as a user who may do what deploy/redis.acl
// says, and nothing else.
func TestTheLeastACLIsEnough(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (string, []*cachetest.Server){
		"one node": func(t *testing.T) (string, []*cachetest.Server) {
			s := cachetest.Redis(t)
			return s.URL(), []*cachetest.Server{s}
		},
		"cluster": func(t *testing.T) (string, []*cachetest.Server) {
			c := cachetest.Cluster(t).NoFailover()
			return c.URL(), c.Servers()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, servers := start(t)
			storeSuite(t, as(url, "statusd", leastRules(t), servers...))
			for _, s := range servers {
				client := redis.NewClient(&redis.Options{Addr: s.Addr})
				log, err := client.ACLLog(t.Context(), 100).Result()
				for _, entry := range log {
					t.Errorf("refused: %+v", *entry)
				}
				if err != nil {
					t.Error(err)
				}
				_ = client.Close()
			}
			if t.Failed() {
				return
			}
			eachRuleIsMissed(t, url, servers)
		})
	}
}

// eachRuleIsMissed takes away each rule in turn: a start is refused, and the rule named.
func eachRuleIsMissed(t *testing.T, url string, servers []*cachetest.Server) {
	onlyCluster := map[string]bool{"+spublish": true, "+ssubscribe": true, "+asking": true, "+command": true, "+cluster|slots": true, "+cluster|nodes": true}
	notCluster := map[string]bool{"+publish": true, "+subscribe": true}
	rules := leastRules(t)
	for i, rule := range rules {
		isRule := strings.HasPrefix(rule, "+") || strings.HasPrefix(rule, "~") || strings.HasPrefix(rule, "&")
		if !isRule || len(servers) == 1 && onlyCluster[rule] || len(servers) > 1 && (notCluster[rule] || i%4 != 0 && !onlyCluster[rule]) {
			continue // of those that hold for both, a cluster tries a few
		}
		others := append(append([]string(nil), rules[:i]...), rules[i+1:]...)
		user := fmt.Sprint("without-", i)
		c := openIdle(t, as(url, user, others, servers...))
		err := c.db.Check(t.Context())
		if err == nil || !errors.Is(err, ErrUnfit) || !strings.HasSuffix(err.Error(), "ACL SETUSER "+user+" "+rule) {
			t.Errorf("without %s: %v", rule, err)
		}
	}
}
