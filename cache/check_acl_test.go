package cache

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestTheLeastACLIsEnough: the whole suite passes as a user who may do what deploy/redis.acl
// says, and nothing else.
func TestTheLeastACLIsEnough(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) {
		storeSuite(t, r.LeastURL(t))
		cachetest.NothingRefused(t, r.Servers...)
		if t.Failed() {
			return
		}
		eachRuleIsMissed(t, r.URL, r.Servers)
	}, cachetest.Single, cachetest.Clustered)
}

// eachRuleIsMissed takes away each rule in turn: a start is refused, and the rule named.
func eachRuleIsMissed(t *testing.T, url string, servers []*cachetest.Server) {
	onlyCluster := map[string]bool{"+spublish": true, "+ssubscribe": true, "+asking": true, "+command": true, "+cluster|slots": true, "+cluster|nodes": true}
	notCluster := map[string]bool{"+publish": true, "+subscribe": true}
	rules := cachetest.LeastACL(t)
	for i, rule := range rules {
		isRule := strings.HasPrefix(rule, "+") || strings.HasPrefix(rule, "~") || strings.HasPrefix(rule, "&")
		if !isRule || len(servers) == 1 && onlyCluster[rule] || len(servers) > 1 && (notCluster[rule] || i%4 != 0 && !onlyCluster[rule]) {
			continue // of those that hold for both, a cluster tries a few
		}
		others := append(append([]string(nil), rules[:i]...), rules[i+1:]...)
		user := fmt.Sprint("without-", i)
		c := openIdle(t, cachetest.AsUser(url, user, others, servers...))
		err := c.db.Check(t.Context())
		if err == nil || !errors.Is(err, ErrUnfit) || !strings.HasSuffix(err.Error(), "ACL SETUSER "+user+" "+rule) {
			t.Errorf("without %s: %v", rule, err)
		}
	}
}
