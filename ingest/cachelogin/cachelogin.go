package cachelogin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Cache is an AWS cache, as its endpoint names it.
type Cache struct {
	Service string // elasticache or memorydb, as in a signature
	Name    string // of the replication group or the cluster
	Region  string // empty: the endpoint has only a short form of it
}

const exampleEndpoint = "master.NAME.abc123.euw1.cache.amazonaws.com"

// ParseEndpoint returns the cache of an endpoint. The forms are
//
//	{master,replica,clustercfg,NODE}.NAME.ID.REGION.cache.amazonaws.com  ElastiCache with TLS
//	{clustercfg,NODE}.NAME.ID.memorydb.REGION.amazonaws.com              MemoryDB
func ParseEndpoint(host string) (Cache, error) {
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(host), "."), ".")
	if n := len(labels); n > 0 && labels[n-1] == "cn" {
		labels = labels[:n-1]
	}
	var c Cache
	switch domain := strings.Join(labels[max(0, len(labels)-3):], "."); {
	case len(labels) == 7 && domain == "cache.amazonaws.com" && labels[2] != "ng":
		c = Cache{Service: "elasticache", Name: labels[1]}
	case len(labels) == 7 && strings.HasSuffix(domain, ".amazonaws.com") && labels[3] == "memorydb":
		c = Cache{Service: "memorydb", Name: labels[1], Region: labels[4]}
	}
	if c.Name == "" {
		return Cache{}, fmt.Errorf("%q is not an endpoint of ElastiCache or MemoryDB with TLS, such as %s", host, exampleEndpoint)
	}
	return c, nil
}

// Serverless reports whether an endpoint belongs to ElastiCache Serverless:
// NAME-ID.serverless.REGION.cache.amazonaws.com.
func Serverless(host string) bool {
	_, domain, _ := strings.Cut(strings.ToLower(host), ".")
	return strings.HasPrefix(domain, "serverless.") && strings.Contains(domain, ".cache.amazonaws.com")
}

// Signer signs the tokens of one user of one cache.
type Signer struct {
	cache       Cache
	user        string
	credentials aws.CredentialsProvider
	now         func() time.Time
}

// NewSigner returns a Signer for a user, by its ID. Its error says which setting of the SDK is
// missing.
func NewSigner(settings aws.Config, cache Cache, user string) (*Signer, error) {
	if cache.Region == "" {
		cache.Region = settings.Region
	}
	if cache.Region == "" {
		return nil, errors.New("the region of the cache is not known; set AWS_REGION")
	}
	if settings.Credentials == nil {
		return nil, errors.New("there are no AWS credentials")
	}
	return &Signer{cache, user, settings.Credentials, time.Now}, nil
}

// tokenLife is how long a token is valid: the maximum at AWS.
const tokenLife = 15 * time.Minute

// noBody is the SHA-256 of an empty body.
const noBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Token returns a password and its expiry: after 15 minutes, or with the credentials that
// have signed it.
func (s *Signer) Token(ctx context.Context) (token string, ends time.Time, err error) {
	credentials, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("AWS credentials, to sign a token for %s %s: %w", s.cache.Service, s.cache.Name, err)
	}
	now := s.now()
	request := smithyhttp.NewStackRequest().(*smithyhttp.Request).Request
	request.Method = "GET"
	request.URL = &url.URL{Scheme: "https", Host: s.cache.Name, Path: "/", RawQuery: s.query().Encode()}
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, noBody, s.cache.Service, s.cache.Region, now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token for %s %s: %w", s.cache.Service, s.cache.Name, err)
	}
	ends = now.Add(tokenLife)
	if credentials.CanExpire && credentials.Expires.Before(ends) {
		ends = credentials.Expires
	}
	return strings.TrimPrefix(signed, "https://"), ends, nil
}

func (s *Signer) query() url.Values {
	return url.Values{"Action": {"connect"}, "User": {s.user}, "X-Amz-Expires": {strconv.Itoa(int(tokenLife / time.Second))}}
}
