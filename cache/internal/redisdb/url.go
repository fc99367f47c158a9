package redisdb

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// address is a parsed REDIS_URL.
type address struct {
	mode             mode
	hosts            []string // host:port
	master           string   // of Sentinel
	username         string
	password         string
	sentinelUsername string
	sentinelPassword string
	database         int
	tls              bool
	files            TLS // what Options say of it

	credentials *credentials // nil: the password is that of the URL

	readLimit, writeLimit, reload time.Duration // those of Options
}

// exampleURL is shown instead of a wrong URL, which may contain a password.
const exampleURL = "redis://user:password@redis.internal:6379"

type mode int

const (
	oneNode mode = iota
	sentinel
	cluster
)

// ParseURL checks a REDIS_URL. Its errors never quote the URL, which may contain a
// password.
func ParseURL(s string) error {
	_, err := parseURL(s)
	return err
}

// URL has the parts of a REDIS_URL that other settings must match.
type URL struct {
	TLS      bool
	User     string
	Password bool   // there is one
	Host     string // the first, without the port
}

// InspectURL reads a REDIS_URL. Its errors are those of ParseURL.
func InspectURL(s string) (URL, error) {
	a, err := parseURL(s)
	if err != nil {
		return URL{}, err
	}
	host, _, _ := net.SplitHostPort(a.hosts[0])
	return URL{TLS: a.tls, User: a.username, Password: a.password != "", Host: host}, nil
}

// parseURL reads one of
//
//	redis://[user:password@]host[:port][/database]
//	redis+cluster://[user:password@]host[:port],…
//	redis+sentinel://[user:password@]host[:port],…/master[?sentinel_username=…&sentinel_password=…]
//
// each also with rediss for TLS. The list of hosts is split here because net/url refuses
// it.
func parseURL(s string) (*address, error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return nil, errors.New("the scheme is missing: redis://, redis+cluster:// or redis+sentinel:// (rediss for TLS); for example " + exampleURL)
	}
	a := &address{}
	if err := a.setScheme(scheme); err != nil {
		return nil, err
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest, path, _ := strings.Cut(rest, "/")
	if err := a.setUser(&rest); err != nil {
		return nil, err
	}
	if err := a.setHosts(rest); err != nil {
		return nil, err
	}
	if err := a.setPath(path); err != nil {
		return nil, err
	}
	if err := a.setQuery(query); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *address) setScheme(scheme string) error {
	kind, variant, _ := strings.Cut(scheme, "+")
	switch kind {
	case "redis":
	case "rediss":
		a.tls = true
	default:
		return errors.New("the scheme must be redis, redis+cluster or redis+sentinel (rediss for TLS); for example " + exampleURL)
	}
	switch variant {
	case "":
		a.mode = oneNode
	case "cluster":
		a.mode = cluster
	case "sentinel":
		a.mode = sentinel
	default:
		return errors.New("after redis+ only cluster or sentinel may follow; for example redis+cluster://h1:6379,h2:6379")
	}
	return nil
}

func (a *address) setUser(rest *string) error {
	at := strings.LastIndexByte(*rest, '@')
	if at < 0 {
		return nil
	}
	username, password, _ := strings.Cut((*rest)[:at], ":")
	*rest = (*rest)[at+1:]
	var err1, err2 error
	a.username, err1 = url.PathUnescape(username)
	a.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("user or password is not percent-encoded correctly")
	}
	return nil
}

func (a *address) setHosts(list string) error {
	port := "6379"
	if a.mode == sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(list, ",") {
		name, p, err := net.SplitHostPort(host)
		if err != nil {
			name, p = strings.Trim(host, "[]"), port
		}
		_, notAddress := netip.ParseAddr(name)
		malformed := name == "" || strings.ContainsAny(name, ":[]") && notAddress != nil
		if n, err := strconv.Atoi(p); malformed || err != nil || n < 1 || n > 65535 {
			return errors.New("each host must be a name or an address, followed by :PORT (1 to 65535) if it is not the default port")
		}
		a.hosts = append(a.hosts, net.JoinHostPort(name, p))
	}
	if a.mode == oneNode && len(a.hosts) > 1 {
		return errors.New("several hosts need redis+cluster:// or redis+sentinel://")
	}
	return nil
}

func (a *address) setPath(path string) error {
	switch {
	case a.mode == sentinel && (path == "" || strings.Contains(path, "/")):
		return errors.New("the name of the master is missing: redis+sentinel://h1,h2/master")
	case a.mode == sentinel:
		a.master = path
	case path == "":
	case a.mode == cluster:
		return errors.New("a cluster has no numbered databases, so nothing may follow the hosts")
	default:
		n, err := strconv.Atoi(path)
		if err != nil || n < 0 {
			return errors.New("the database after the host must be a number")
		}
		a.database = n
	}
	return nil
}

func (a *address) setQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the part after ? is malformed")
	}
	for name := range values {
		if name != "sentinel_username" && name != "sentinel_password" || a.mode != sentinel {
			return errors.New("the only parameters allowed after ? are sentinel_username and sentinel_password, and only with +sentinel; write ? in a password as %3F")
		}
	}
	a.sentinelUsername, a.sentinelPassword = values.Get("sentinel_username"), values.Get("sentinel_password")
	if a.sentinelUsername != "" && a.sentinelPassword == "" {
		return errors.New("sentinel_username needs sentinel_password")
	}
	return nil
}
