package app

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
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

// checkHTTPS accepts https, and http only on this machine: an attacker on the network
// could replace keys that are sent without TLS.
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
