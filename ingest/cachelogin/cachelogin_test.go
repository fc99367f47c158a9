package cachelogin

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestEndpointsNameTheirCache(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]Cache{
		"master.status.abc123.euw1.cache.amazonaws.com":                {"elasticache", "status", ""},
		"replica.status.abc123.euw1.cache.amazonaws.com":               {"elasticache", "status", ""},
		"clustercfg.status.abc123.euw1.cache.amazonaws.com":            {"elasticache", "status", ""},
		"status-0001-002.status.abc123.euw1.cache.amazonaws.com":       {"elasticache", "status", ""},
		"MASTER.Status.abc123.euw1.cache.amazonaws.com.":               {"elasticache", "status", ""},
		"master.status.abc123.cnn1.cache.amazonaws.com.cn":             {"elasticache", "status", ""},
		"clustercfg.status.abc123.memorydb.eu-west-1.amazonaws.com":    {"memorydb", "status", "eu-west-1"},
		"status-0001-1.status.abc123.memorydb.us-east-1.amazonaws.com": {"memorydb", "status", "us-east-1"},
		"status-x1y2z3.serverless.euw1.cache.amazonaws.com":            {},
		"redis.internal": {}, "": {}, "10.0.0.1": {}, "cache.amazonaws.com": {},
		"status.abc123.ng.0001.euw1.cache.amazonaws.com": {}, // without TLS
		"master.status.abc123.euw1.cache.example.com":    {},
	} {
		got, err := ParseEndpoint(host)
		if got != want || (err == nil) != (want.Name != "") {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
		if want := strings.Contains(host, "serverless"); Serverless(host) != want {
			t.Errorf("%s: serverless %v", host, !want)
		}
	}
}

// TestTokens: their form, and that they end with what has signed them. That they are signed
// correctly is shown by package app, against a login that checks it.
func TestTokens(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	credentials := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "session"}
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil })
	for _, test := range []struct {
		cache   Cache
		expires time.Time
		host    string
		query   map[string]string
		ends    time.Time
	}{
		{Cache{Service: "elasticache", Name: "status"}, time.Time{}, "status",
			map[string]string{"Action": "connect", "User": "ada", "X-Amz-Expires": "900", "X-Amz-Security-Token": "session"}, now.Add(15 * time.Minute)},
		{Cache{Service: "elasticache", Name: "status"}, now.Add(time.Minute), "status",
			map[string]string{"X-Amz-Credential": "AKID/20260102/eu-west-1/elasticache/aws4_request"}, now.Add(time.Minute)},
		{Cache{Service: "memorydb", Name: "status", Region: "us-east-1"}, now.Add(time.Hour), "status",
			map[string]string{"Action": "connect", "X-Amz-Credential": "AKID/20260102/us-east-1/memorydb/aws4_request"}, now.Add(15 * time.Minute)},
	} {
		credentials.Expires, credentials.CanExpire = test.expires, !test.expires.IsZero()
		s, err := NewSigner(aws.Config{Region: "eu-west-1", Credentials: provider}, test.cache, "ada")
		if err != nil {
			t.Fatal(err)
		}
		s.now = func() time.Time { return now }
		token, ends, err := s.Token(t.Context())
		host, query, _ := strings.Cut(token, "/?")
		values, parseErr := url.ParseQuery(query)
		if err != nil || parseErr != nil || host != test.host || !ends.Equal(test.ends) {
			t.Errorf("%+v: %q ends at %v, %v", test.cache, token, ends, errors.Join(err, parseErr))
		}
		for name, want := range test.query {
			if values.Get(name) != want {
				t.Errorf("%+v: %s is %q, want %q", test.cache, name, values.Get(name), want)
			}
		}
	}
}

func TestATokenNeedsARegionAndCredentials(t *testing.T) {
	t.Parallel()
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no role")
	})
	if _, err := NewSigner(aws.Config{Credentials: none}, Cache{Service: "elasticache", Name: "status"}, "ada"); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("no region: %v", err)
	}
	s, err := NewSigner(aws.Config{Region: "eu-west-1", Credentials: none}, Cache{Service: "elasticache", Name: "status"}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "no role") || !strings.Contains(err.Error(), "status") {
		t.Errorf("no credentials: %v", err)
	}
}
