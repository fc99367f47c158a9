package redisdb

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]address{
		"redis://localhost":                {hosts: []string{"localhost:6379"}},
		"redis://localhost:1/":             {hosts: []string{"localhost:1"}},
		"redis://10.0.0.1:65535/15":        {hosts: []string{"10.0.0.1:65535"}, database: 15},
		"redis://[::1]:6380":               {hosts: []string{"[::1]:6380"}},
		"redis://[2001:db8::1]":            {hosts: []string{"[2001:db8::1]:6379"}},
		"redis://ada:s3cret@h":             {hosts: []string{"h:6379"}, username: "ada", password: "s3cret"},
		"redis://:s3cret@h":                {hosts: []string{"h:6379"}, password: "s3cret"},
		"redis://ada@h":                    {hosts: []string{"h:6379"}, username: "ada"},
		"redis://a%3Ab:p%40s%2F%3F%25@h/1": {hosts: []string{"h:6379"}, username: "a:b", password: "p@s/?%", database: 1},
		"redis://:p@ss:word@h":             {hosts: []string{"h:6379"}, password: "p@ss:word"},
		"redis+cluster://a:1,b,[::1]:3":    {mode: cluster, hosts: []string{"a:1", "b:6379", "[::1]:3"}},
		"redis+cluster://one/":             {mode: cluster, hosts: []string{"one:6379"}},
		"redis+sentinel://u:p@a,b:2/main":  {mode: sentinel, hosts: []string{"a:26379", "b:2"}, master: "main", username: "u", password: "p"},
		"redis+sentinel://a/main?sentinel_username=w&sentinel_password=x": {mode: sentinel, hosts: []string{"a:26379"}, master: "main", sentinelUsername: "w", sentinelPassword: "x"},
		"redis+sentinel://a/main?sentinel_password=x%26y":                 {mode: sentinel, hosts: []string{"a:26379"}, master: "main", sentinelPassword: "x&y"},
	} {
		got, err := parseURL(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if diff := cmp.Diff(want, *got, cmp.AllowUnexported(address{})); diff != "" {
			t.Errorf("%s: %s", url, diff)
		}
		secure, err := parseURL("rediss" + strings.TrimPrefix(url, "redis"))
		if err != nil || !secure.tls {
			t.Errorf("%s with TLS: %v", url, err)
			continue
		}
		if diff := cmp.Diff(*got, *secure, cmp.AllowUnexported(address{}), cmpopts.IgnoreFields(address{}, "tls")); diff != "" {
			t.Errorf("%s with TLS: %s", url, diff)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for what, url := range map[string]string{
		"nothing":                      "",
		"no scheme":                    "s3cret@localhost:6379",
		"another scheme":               "http://:s3cret@localhost",
		"another variant":              "redis+s3cret://localhost",
		"upper case":                   "REDIS://:s3cret@localhost",
		"no host":                      "redis://:s3cret@",
		"no host but a port":           "redis://:s3cret@:6379",
		"port 0":                       "redis://:s3cret@h:0",
		"a high port":                  "redis://:s3cret@h:65536",
		"a port that is a word":        "redis://h:s3cret",
		"an empty port":                "redis://:s3cret@h:",
		"two ports":                    "redis://:s3cret@h:1:2",
		"several hosts":                "redis://:s3cret@a,b",
		"an empty host in a list":      "redis+cluster://:s3cret@a,,b",
		"database of a cluster":        "redis+cluster://:s3cret@a,b/1",
		"database that is a word":      "redis://h/s3cret",
		"database below 0":             "redis://:s3cret@h/-1",
		"Sentinel without a master":    "redis+sentinel://:s3cret@a,b",
		"Sentinel with two":            "redis+sentinel://:s3cret@a,b/m/0",
		"bad percent encoding":         "redis://:s3cret%zz@h",
		"an unknown option":            "redis://h/0?s3cret=1",
		"another mode's option":        "redis+cluster://h?sentinel_password=s3cret",
		"password with a bare ?":       "redis://user:12?s3cret@host/0",
		"password with a bare /":       "redis://user:12/s3cret@host/0",
		"Sentinel's user, no password": "redis+sentinel://h/m?sentinel_username=s3cret",
		"a broken query":               "redis+sentinel://h/m?s3cret=%zz",
	} {
		err := ParseURL(url)
		if err == nil {
			t.Errorf("%s: accepted", what)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells a secret: %v", what, err)
		}
	}
}

// FuzzParseURL puts a secret into a place of any text: no error may tell it.
func FuzzParseURL(f *testing.F) {
	for place, url := range []string{
		"redis://u:p@h:1/2", "rediss+cluster://a:1,b,[::1]:3", "redis+sentinel://u:p@a,b/m?sentinel_password=q", "redis://user:12?@h/0", "://",
	} {
		f.Add(url, place)
	}
	const secret = "correct-horse"
	f.Fuzz(func(t *testing.T, url string, place int) {
		if err := ParseURL(url); err == nil {
			a, _ := parseURL(url)
			checkAddress(t, a)
		}
		at := min(max(place, 0), len(url))
		if err := ParseURL(url[:at] + secret + url[at:]); err != nil && strings.Contains(err.Error(), secret) {
			t.Fatalf("reported: %v", err)
		}
	})
}

func checkAddress(t *testing.T, a *address) {
	t.Helper()
	if len(a.hosts) == 0 || a.mode == oneNode && len(a.hosts) != 1 || a.mode == sentinel && a.master == "" || a.database < 0 {
		t.Fatalf("accepted as mode %d: %d hosts, database %d", a.mode, len(a.hosts), a.database)
	}
	for _, host := range a.hosts {
		name, port, err := net.SplitHostPort(host)
		if n, _ := strconv.Atoi(port); err != nil || name == "" || n < 1 || n > 65535 {
			t.Fatalf("host %q: %v", host, err)
		}
	}
}
