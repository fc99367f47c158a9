package app

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/ingest/event"
	"statuscache/ingest/operate"
)

// The parsers that several settings share.

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		return nil
	}
}

func required(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		if s == "" {
			return fmt.Errorf("must not be empty")
		}
		return nil
	}
}

func oneOf(field func(*Config) *string, words ...string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		if slices.Contains(words, s) {
			return nil
		}
		return fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
	}
}

func onOrOff(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s == "on"
		if s == "on" || s == "off" {
			return nil
		}
		return fmt.Errorf("%q is neither on nor off", s)
	}
}

func list(field func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = split(s)
		return nil
	}
}

// split splits a list at its commas and drops empty parts.
func split(s string) []string {
	var parts []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func file(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		if s == "" {
			return nil
		}
		f, err := os.Open(s)
		if err != nil {
			return err
		}
		return f.Close()
	}
}

func duration(field func(*Config) *time.Duration, least, most time.Duration) func(*Config, string) error {
	return func(c *Config, s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d < least || d > most {
			return fmt.Errorf("%q is not a duration from %v to %v, such as 90s or 15m", s, least, most)
		}
		*field(c) = d
		return nil
	}
}

// shorterRetention reads a retention; an empty one has the value of RETENTION.
func shorterRetention(field func(*Config) *time.Duration) func(*Config, string) error {
	parse := duration(field, minRetention, maxRetention)
	return func(c *Config, s string) error {
		if s == "" {
			*field(c) = 0
			return nil
		}
		return parse(c, s)
	}
}

func rate(field func(*Config) *float64) func(*Config, string) error {
	return func(c *Config, s string) error {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= 0 && f <= 1000) {
			return fmt.Errorf("%q is not a number from 0 to 1000", s)
		}
		*field(c) = f
		return nil
	}
}

func address(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		_, port, err := net.SplitHostPort(s)
		if n, atoi := strconv.Atoi(port); err != nil || atoi != nil || n < 0 || n > 65535 {
			return fmt.Errorf("%q is not an address to listen on, such as :8080 or 127.0.0.1:8080", s)
		}
		return nil
	}
}

func httpsURL(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		return checkHTTPS(s)
	}
}

// checkHTTPS accepts https, and http only on this machine: an attacker on the network could
// replace signing keys that are sent without TLS.
func checkHTTPS(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fmt.Errorf("%q must be an https URL", s)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// The parsers of single settings.

func parseRole(c *Config, s string) error {
	switch c.Role = Role(s); c.Role {
	case All, API, Ingest:
		return nil
	}
	return fmt.Errorf("%q must be all, api or ingest", s)
}

func parseRedisURL(c *Config, s string) error {
	c.RedisURL = s
	return cache.ParseURL(s)
}

func parsePrefix(c *Config, s string) error {
	c.RedisPrefix = s
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("{}*?[]", r) }) {
		return fmt.Errorf("%q must be 1 to 64 printable characters; spaces and {}*?[] are not allowed", s)
	}
	return nil
}

func parseAcks(c *Config, s string) error {
	if s == "auto" {
		c.RedisReplicaAcks = cache.AutoAcks
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 10 {
		return fmt.Errorf("%q is neither auto nor a number from 0 to 10", s)
	}
	c.RedisReplicaAcks = n
	return nil
}

// queuePath is the path of a queue at AWS: its account and its name.
var queuePath = regexp.MustCompile(`^/[0-9]+/[A-Za-z0-9_.-]{1,80}$`)

func parseQueueURL(c *Config, s string) error {
	c.SQSQueueURL = s
	if s == "" {
		return nil // whether it is needed depends on the role
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return fmt.Errorf("%q is not the URL of a queue, such as https://sqs.eu-west-1.amazonaws.com/123456789012/status-events", s)
	}
	if strings.HasSuffix(u.Hostname(), "console.aws.amazon.com") {
		return fmt.Errorf("%q is a page of the AWS console; the URL of the queue is on that page, such as https://sqs.eu-west-1.amazonaws.com/123456789012/status-events", s)
	}
	if strings.Contains(u.Hostname(), ".amazonaws.com") && !queuePath.MatchString(u.Path) {
		return fmt.Errorf("%q lacks the account or the name of the queue, or has more parts; it must be like https://sqs.eu-west-1.amazonaws.com/123456789012/status-events", s)
	}
	if strings.HasSuffix(u.Path, ".fifo") {
		return fmt.Errorf("%q is a FIFO queue; EventBridge does not send events in order, so FIFO has no benefit; use a standard queue", s)
	}
	return nil
}

func parseEventBus(c *Config, s string) error {
	c.EventBus = s
	return operate.CheckEventBus(s)
}

func parseOwnerPath(c *Config, s string) error {
	c.OwnerPath = s
	_, err := event.ParseOwnerPath(s)
	return err
}

func parseLabelPaths(c *Config, s string) error {
	c.LabelPaths = s
	_, err := event.ParseLabelPaths(s)
	return err
}

func parseStateMachines(c *Config, s string) error {
	c.StateMachines = split(s)
	return CheckStateMachines(c.StateMachines)
}

// CheckStateMachines returns an error for a text that is not the ARN of a state machine.
func CheckStateMachines(arns []string) error {
	for _, arn := range arns {
		if _, err := cache.ParseMachineARN(arn); err != nil {
			return fmt.Errorf("%q is not the ARN of a state machine, such as arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", arn)
		}
	}
	return nil
}

func parseIssuer(c *Config, s string) error {
	c.JWTIssuer = s
	if issuer, _, found := strings.Cut(s, "/.well-known/"); found {
		return fmt.Errorf("%q is a document of the issuer; set the issuer itself, as in the claim iss of its tokens: %s", s, issuer)
	}
	return checkHTTPS(s)
}

func parsePepper(c *Config, s string) error {
	c.APIKeyPepper = s
	if s != "" && len(s) < minPepper {
		return fmt.Errorf("too short: it needs at least %d characters (openssl rand -hex 32)", minPepper)
	}
	return nil
}

func parseRateLimit(c *Config, s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1_000_000 {
		return fmt.Errorf("%q is not a whole number from 0 to 1000000", s)
	}
	c.RateLimit = n
	return nil
}

func parseOrigins(c *Config, s string) error {
	c.CORSOrigins = split(s)
	for _, origin := range c.CORSOrigins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.String() != u.Scheme+"://"+u.Host {
			return fmt.Errorf("%q is not an origin, such as https://app.example.com", origin)
		}
	}
	return nil
}
