package cachetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// LeastACL returns the ACL rules of deploy/redis.acl, without the password.
func LeastACL(t testing.TB) []string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "deploy", "redis.acl"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 || fields[0] != "user" || fields[2] != "on" {
		t.Fatalf("deploy/redis.acl begins %q", fields[:min(4, len(fields))])
	}
	return fields[4:]
}

// AsUser creates a user with these rules on each server, and returns the URL with the user.
func AsUser(url, user string, rules []string, servers ...*Server) string {
	for _, s := range servers {
		s.Do("ACL SETUSER " + user + " on >secret " + strings.Join(rules, " "))
	}
	return strings.Replace(url, "://", "://"+user+":secret@", 1)
}

// NothingRefused fails the test for each command that a server refused a user.
func NothingRefused(t testing.TB, servers ...*Server) {
	t.Helper()
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
}
