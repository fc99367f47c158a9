package cache

import (
	"context"
	"errors"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// TestExplainWhatRedisRefuses has a Redis refuse an observation in each way that an
// operator has to fix, and checks that the explanation names it.
func TestExplainWhatRedisRefuses(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "redis-server")
	for name, c := range map[string]struct {
		commands    []string
		brief, text string
		unreachable bool
	}{
		"full":                 {[]string{"CONFIG SET maxmemory 1"}, "Redis is full", "raise its maxmemory", false},
		"scripts forbidden":    {[]string{"ACL SETUSER default -eval -evalsha"}, "the Redis user lacks a permission", "ACL SETUSER", false},
		"commands of a script": {[]string{"ACL SETUSER default -getrange -zadd"}, "the Redis user lacks a permission", "ACL SETUSER", false},
		"keys forbidden":       {[]string{"ACL SETUSER default resetkeys ~other:*"}, "the Redis user lacks a permission", "ACL SETUSER", false},
		"a replica":            {[]string{"REPLICAOF 127.0.0.1 1"}, "this Redis is a replica", "redis+sentinel://", false},
		"too few replicas":     {[]string{"CONFIG SET min-replicas-to-write 1"}, "Redis has too few replicas", "min-replicas-to-write", false},
		"killed":               {nil, "Redis does not answer", "check that it runs", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := cachetest.Redis(t)
			cache := openIdle(t, server.URL())
			arn := testARN(t, "x")
			apply(t, cache, running(arn, now()))
			for _, command := range c.commands {
				server.Do(command)
			}
			if c.commands == nil {
				server.Kill()
			}
			outcome := cache.Apply(t.Context(), []Execution{succeeded(arn, now(), "1")})[0]
			if outcome.Final() {
				t.Fatal("it was not refused")
			}
			brief, text := Explain(outcome.Err)
			if brief != c.brief || !strings.Contains(text, c.text) || strings.Contains(text, "\n") || Unreachable(outcome.Err) != c.unreachable {
				t.Errorf("%v:\nbrief %q\ntext %q\nunreachable %v", outcome.Err, brief, text, Unreachable(outcome.Err))
			}
			if strings.Contains(brief, server.Addr) {
				t.Errorf("%q names the address", brief)
			}
		})
	}
}

// TestExplainJoined explains what several primaries say by the first that is known.
func TestExplainJoined(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"Redis is full":                     errors.Join(errors.New("x"), errors.New("OOM command not allowed when used memory > 'maxmemory'.")),
		"this Redis is a node of a cluster": errors.New("apply arn:x: CROSSSLOT Keys in request don't hash to the same slot"),
		"too few Redis replicas confirm":    errors.Join(redisdb.ErrReplicas, context.DeadlineExceeded),
		"Redis does not answer":             context.DeadlineExceeded,
		"Redis returned an error":           errors.New("ERR something else"),
	} {
		if brief, _ := Explain(err); brief != want {
			t.Errorf("%v: %q, want %q", err, brief, want)
		}
	}
}
