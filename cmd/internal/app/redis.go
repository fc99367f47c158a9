package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"statuscache/cache"
	"statuscache/ingest"
	"statuscache/ingest/cachelogin"
)

// RedisSettings are the settings for the address of Redis and the connections to it.
var RedisSettings = []string{
	"REDIS_URL", "REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE", "REDIS_SERVER_NAME", "REDIS_PASSWORD_FILE", "REDIS_AUTH", "REDIS_PREFIX",
}

const authIAM = "iam" // a value of REDIS_AUTH

func parseCAFile(c *Config, s string) error {
	c.RedisTLS.CAFile = s
	return cache.TLS{CAFile: s}.CheckCA()
}

var hostName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+$`)

func parseServerName(c *Config, s string) error {
	c.RedisTLS.ServerName = s
	if s != "" && net.ParseIP(s) == nil && (len(s) > 253 || !hostName.MatchString(s)) {
		return fmt.Errorf("%q is neither a host name nor an address, such as redis.example.com", s)
	}
	return nil
}

func parsePasswordFile(c *Config, s string) error {
	c.RedisPassword = s
	if s == "" {
		return nil
	}
	_, err := readPassword(s)
	return err
}

// maxPassword is how many bytes of a password file are read at most: the path may name a wrong,
// large file.
const maxPassword = 64 << 10

// readPassword returns the only line of a file. Its errors never contain text of the file.
func readPassword(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassword))
	if err != nil {
		return "", err
	}
	password, more, _ := strings.Cut(string(text), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" || len(text) == maxPassword || strings.TrimSpace(more) != "" {
		return "", fmt.Errorf("%s must have exactly one line, the secret", name)
	}
	return password, nil
}

// redisContradictions returns the conflicts between the settings of Redis.
func (c *Config) redisContradictions() []error {
	u, err := cache.InspectURL(c.RedisURL)
	if err != nil {
		return nil // reported already
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	host := cmp.Or(c.RedisTLS.ServerName, u.Host)
	if cachelogin.Serverless(host) {
		return []error{errors.New("REDIS_URL: ElastiCache Serverless evicts records when it is full (maxmemory-policy volatile-lru), and this cannot be changed; use a node-based cache with noeviction")}
	}
	if names := c.redisTLSNames(); len(names) > 0 && !u.TLS {
		wrong("%s: has no effect without TLS; write rediss instead of redis in REDIS_URL", strings.Join(names, ", "))
	}
	if (c.RedisTLS.CertFile == "") != (c.RedisTLS.KeyFile == "") {
		wrong("REDIS_CERT_FILE, REDIS_KEY_FILE: set both or neither")
	} else if err := c.RedisTLS.CheckPair(); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
		wrong("REDIS_CERT_FILE, REDIS_KEY_FILE: %w", err)
	}
	if c.RedisPassword != "" && u.Password {
		wrong("REDIS_PASSWORD_FILE: REDIS_URL has a password too; remove one of them")
	}
	if c.RedisAuth == authIAM {
		problems = append(problems, c.iamContradictions(u)...)
	}
	return problems
}

// redisTLSNames returns the settings that are set but have an effect only with TLS.
func (c *Config) redisTLSNames() (names []string) {
	for _, s := range []struct{ name, value string }{
		{"REDIS_CA_FILE", c.RedisTLS.CAFile}, {"REDIS_CERT_FILE", c.RedisTLS.CertFile},
		{"REDIS_KEY_FILE", c.RedisTLS.KeyFile}, {"REDIS_SERVER_NAME", c.RedisTLS.ServerName},
	} {
		if s.value != "" {
			names = append(names, s.name)
		}
	}
	return names
}

func (c *Config) iamContradictions(u cache.URL) []error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if u.Password || c.RedisPassword != "" {
		wrong("REDIS_AUTH: iam needs no password; remove it from REDIS_URL, and remove REDIS_PASSWORD_FILE")
	}
	if u.User == "" {
		wrong("REDIS_AUTH: iam needs the ID of a user; write it into REDIS_URL, such as rediss://user@host")
	}
	if !u.TLS {
		wrong("REDIS_AUTH: iam needs TLS; write rediss instead of redis in REDIS_URL")
	}
	if _, err := c.iamCache(u); err != nil {
		wrong("REDIS_AUTH: iam needs to know the cache: %w; write its endpoint into REDIS_URL, or into REDIS_SERVER_NAME if REDIS_URL has another host name", err)
	}
	return problems
}

func (c *Config) iamCache(u cache.URL) (cachelogin.Cache, error) {
	return cachelogin.ParseEndpoint(cmp.Or(c.RedisTLS.ServerName, u.Host))
}

// passwordCheck is how often the password file is read.
const passwordCheck = time.Second

// passwords returns the source of the Redis password, nil if it is in REDIS_URL. load
// returns the settings of the AWS SDK; nil: ingest.LoadAWS.
func (c *Config) passwords(load func(context.Context) (aws.Config, error)) cache.Passwords {
	switch {
	case c.RedisAuth == authIAM:
		if load == nil {
			load = ingest.LoadAWS
		}
		return c.tokens(load)
	case c.RedisPassword != "":
		return func() (cache.Password, error) {
			text, err := readPassword(c.RedisPassword)
			if err != nil {
				return cache.Password{}, fmt.Errorf("REDIS_PASSWORD_FILE: %w", err)
			}
			return cache.Password{Text: text, Renew: time.Now().Add(passwordCheck)}, nil
		}
	}
	return nil
}

const (
	signLimit     = 5 * time.Second // for getting credentials from AWS
	renewBefore   = 5 * time.Minute // before a token expires
	renewAtLeast  = time.Second     // between two renewals
	renewFraction = 2               // a token that expires soon is renewed after 1/renewFraction of its remaining time
)

// tokens returns a source of tokens that IAM accepts. It loads the settings of the SDK once,
// and tries again if that fails.
func (c *Config) tokens(load func(context.Context) (aws.Config, error)) cache.Passwords {
	var signer *cachelogin.Signer
	return func() (cache.Password, error) {
		ctx, cancel := context.WithTimeout(context.Background(), signLimit)
		defer cancel()
		if signer == nil {
			var err error
			if signer, err = c.signer(ctx, load); err != nil {
				return cache.Password{}, err
			}
		}
		token, ends, err := signer.Token(ctx)
		if err != nil {
			return cache.Password{}, fmt.Errorf("REDIS_AUTH: %w", err)
		}
		return cache.Password{Text: token, Renew: renewal(time.Now(), ends), Ends: ends}, nil
	}
}

func (c *Config) signer(ctx context.Context, load func(context.Context) (aws.Config, error)) (*cachelogin.Signer, error) {
	u, err := cache.InspectURL(c.RedisURL)
	if err != nil {
		return nil, err
	}
	endpoint, err := c.iamCache(u)
	if err != nil {
		return nil, fmt.Errorf("REDIS_AUTH: %w", err)
	}
	settings, err := load(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cache.ErrUnfit, err)
	}
	signer, err := cachelogin.NewSigner(settings, endpoint, u.User)
	if err != nil {
		return nil, fmt.Errorf("%w: REDIS_AUTH: %w", cache.ErrUnfit, err)
	}
	return signer, nil
}

// renewal returns when to renew a token: some time before it expires, but at most once per
// renewAtLeast.
func renewal(now, ends time.Time) time.Time {
	left := ends.Sub(now)
	return now.Add(max(renewAtLeast, left-renewBefore, left/renewFraction))
}
