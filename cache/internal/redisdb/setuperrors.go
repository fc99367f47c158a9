package redisdb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// explained is an explained error of Redis, with the fix after a semicolon.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

// meanings explains the errors of Redis, by the word at their beginning. None of them ends
// soon without a change.
var meanings = []struct{ word, text string }{
	{"OOM", "Redis is full (its maxmemory is reached) and accepts no writes; raise maxmemory, use a larger node, or lower RETENTION"},
	{"READONLY", "the server is a replica and accepts no writes; name its primary in REDIS_URL, or the Sentinels, and check whether a failover is incomplete"},
	{"NOREPLICAS", "Redis accepts no writes because too few replicas are connected; reconnect them, or lower min-replicas-to-write"},
	{"MISCONF", "Redis accepts no writes because it cannot save to its disk; read its log, and check that the disk is not full"},
	{"LOADING", "Redis is still loading its files; wait until it has finished"},
	{"MASTERDOWN", "the server is a replica that has lost its primary; name the primary in REDIS_URL"},
	{"CLUSTERDOWN", "the cluster is down because some of its slots have no primary; redis-cli --cluster check HOST:PORT shows which"},
	{"CROSSSLOT", "the server is a node of a cluster; write redis+cluster:// in REDIS_URL"},
	{"NOAUTH", "Redis requires a password; put it into REDIS_URL, such as redis://user:password@host, or into REDIS_PASSWORD_FILE"},
	{"WRONGPASS", "Redis refuses the user or the password in REDIS_URL or REDIS_PASSWORD_FILE; correct them (in a password in the URL %, @, / and ? are written %25, %40, %2F and %3F)"},
	{"DENIED", "Redis is in protected mode and accepts no connection from other machines; give it a password (requirepass) or an ACL user, or set protected-mode no on a safe network"},
	{"BUSY", "Redis is busy with a script of another program; end it with SCRIPT KILL"},
	{"ERR max number of clients reached", "Redis accepts no more connections; raise maxclients, or find out which clients use them (CLIENT LIST)"},
	{"ERR unknown command", "Redis, or a proxy in front of it, does not have a command that statusd needs; enable it (rename-command in redis.conf), or use another Redis in REDIS_URL"},
	{"ERR DB index is out of range", "Redis does not have the database after the host in REDIS_URL; use a lower number, or no number"},
	{"ERR SELECT is not allowed in cluster mode", "the server is a node of a cluster; write redis+cluster:// in REDIS_URL, without a database"},
	{"ERR This instance has cluster support disabled", "the server is not a node of a cluster; write redis:// in REDIS_URL, without +cluster"},
}

// permanent has the words of errors that do not end while a process waits for Redis at
// startup.
var permanent = []string{
	"CROSSSLOT", "NOAUTH", "WRONGPASS", "DENIED", "ERR unknown command", "ERR DB index is out of range",
	"ERR SELECT is not allowed in cluster mode", "ERR This instance has cluster support disabled",
}

var forbidden = regexp.MustCompile(`(?:NOPERM|` + scriptForbidden + `).* run the '([^']+)' command`)

// Explain returns an error of Redis with an explanation. An unknown error is returned
// unchanged.
func (db *DB) Explain(err error) error {
	if err == nil {
		return nil
	}
	if plain, ok := errors.AsType[*explained](err); ok {
		return plain
	}
	text := err.Error()
	if found := forbidden.FindStringSubmatch(text); found != nil {
		return &explained{db.ruleText("+" + found[1]), err}
	}
	if wrong := certificateError(err, db.options.TLS); wrong != "" {
		return &explained{wrong, err}
	}
	for _, m := range meanings {
		if saysWord(text, m.word) {
			return &explained{commandNamed(m.text, text), err}
		}
	}
	switch {
	case strings.Contains(text, `"HTTP/1.`):
		return &explained{"a web server answers there, not Redis; correct the host and the port in REDIS_URL", err}
	case forbids(err) && strings.Contains(text, "channel"):
		return &explained{db.ruleText("&" + db.Names.Prefix + ":*"), err}
	case forbids(err) && strings.Contains(text, "key"):
		return &explained{db.ruleText("~" + db.Names.Prefix + ":*"), err}
	}
	return err
}

var unknownCommand = regexp.MustCompile(`unknown command [\x60']([^'\x60]+)['\x60]`)

// commandNamed adds the name of the missing command to the explanation of its error.
func commandNamed(meaning, text string) string {
	found := unknownCommand.FindStringSubmatch(text)
	if found == nil {
		return meaning
	}
	return strings.Replace(meaning, "a command that statusd needs", "the command "+strings.ToUpper(found[1])+", which statusd needs", 1)
}

// saysWord reports whether a text has words of Redis, at its beginning or after a prefix
// that other code has added.
func saysWord(text, word string) bool {
	_, behind, found := strings.Cut(" "+strings.ReplaceAll(text, "\n", " "), " "+word)
	return found && (behind == "" || behind[0] == ' ')
}

func (db *DB) ruleText(rule string) string {
	user := db.User()
	return fmt.Sprintf("the Redis user %s lacks a permission that statusd needs; grant it with ACL SETUSER %s %s", user, user, rule)
}

// Examine finds out why Redis cannot be used with REDIS_URL, if the error alone does not
// show it.
func (db *DB) Examine(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if plain, ok := errors.AsType[*explained](err); ok {
		err = plain // without the prefix of go-redis
	}
	if errors.Is(err, ErrUnfit) { // usually the same for every primary
		return &explained{OneLine(err), err}
	}
	if wrong := certificateError(err, db.options.TLS); wrong != "" {
		return fmt.Errorf("%w: %s", ErrUnfit, wrong)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), examineLimit)
	defer cancel()
	if refused := db.address.refusal(ctx, db.options.Dial, err); refused != nil {
		err = refused
	}
	if wrong := db.address.tooFar(ctx, db.options.Dial, err); wrong != "" {
		return &explained{wrong, err}
	}
	if wrong := db.address.wrongTLS(ctx, db.options.Dial, err); wrong != "" {
		return fmt.Errorf("%w: %s", ErrUnfit, wrong)
	}
	if db.address.mode == sentinel {
		if wrong := db.address.wrongSentinel(ctx, db.options.Dial); wrong != "" {
			return fmt.Errorf("%w: %s", ErrUnfit, wrong)
		}
	}
	plain := db.Explain(err)
	if forbids(err) {
		return fmt.Errorf("%w: %w", ErrUnfit, plain)
	}
	for _, word := range permanent {
		if saysWord(err.Error(), word) {
			return fmt.Errorf("%w: %w", ErrUnfit, plain)
		}
	}
	return plain
}

const examineLimit = 4 * DefaultWriteLimit

// wrongTLS explains that the port uses TLS but REDIS_URL does not, or the other way round;
// empty if this is not the problem.
func (a *address) wrongTLS(ctx context.Context, dial Dialer, err error) string {
	if header := new(tls.RecordHeaderError); errors.As(err, header) || strings.Contains(err.Error(), "does not look like a TLS handshake") {
		return plainPort
	}
	if isAnswer(err) {
		return ""
	}
	conn, dialErr := a.dialFirst(ctx, dial)
	if dialErr != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection without deadlines fails at once
	}
	if !a.tls && speaksTLS(ctx, conn) {
		return "its port uses TLS; write rediss:// in REDIS_URL instead of redis://"
	}
	if a.tls && speaksPlainly(conn) {
		return plainPort
	}
	return ""
}

const plainPort = "its port does not use TLS; write redis:// in REDIS_URL instead of rediss://, or use the TLS port"

func (a *address) dialFirst(ctx context.Context, dial Dialer) (net.Conn, error) {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial(ctx, "tcp", a.hosts[0])
}

// speaksTLS reports whether the server answers with TLS, even if it refuses. No data is
// sent to it.
func speaksTLS(ctx context.Context, conn net.Conn) bool {
	err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // nothing is sent to it
	return err == nil || strings.Contains(err.Error(), "remote error: tls:")
}

// speaksPlainly reports whether the server answers a PING without TLS.
func speaksPlainly(conn net.Conn) bool {
	var first [1]byte
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	_, err := conn.Read(first[:])
	return err == nil && (first[0] == '+' || first[0] == '-')
}

// wrongSentinel explains what is wrong with the Sentinels in REDIS_URL, empty if one of
// them knows the primary or none can be reached.
func (a *address) wrongSentinel(ctx context.Context, dial Dialer) (wrong string) {
	for _, host := range a.hosts {
		s := sentinelNode(a, host, dial)
		_, err := s.GetMasterAddrByName(ctx, a.master).Result()
		switch {
		case err == nil:
			wrong = ""
		case errors.Is(err, redis.Nil):
			wrong = fmt.Sprintf("the Sentinels know no primary named %q%s; correct the name after the hosts in REDIS_URL", a.master, primariesKnown(ctx, s))
		case strings.Contains(err.Error(), "unknown command"):
			wrong = host + " is not a Sentinel; name the Sentinels in REDIS_URL (their default port is 26379), or write redis:// without +sentinel"
		case redis.HasErrorPrefix(err, "NOAUTH"):
			wrong = "the Sentinels require a password; add ?sentinel_password= after the name of the primary in REDIS_URL"
		case redis.IsAuthError(err) || strings.Contains(err.Error(), "AUTH"):
			wrong = "the Sentinels refuse the user or the password; correct sentinel_username and sentinel_password in REDIS_URL"
		default:
			wrong = cmp.Or(wrong, "")
		}
		_ = s.Close() // it is not needed any more
		if err == nil || wrong != "" {
			return wrong
		}
	}
	return ""
}

// primariesKnown lists the primaries that a Sentinel knows.
func primariesKnown(ctx context.Context, s *redis.SentinelClient) string {
	masters, err := s.Masters(ctx).Result()
	if err != nil || len(masters) == 0 {
		return ""
	}
	var names []string
	for _, m := range masters {
		if fields, ok := m.(map[any]any); ok {
			names = append(names, fmt.Sprint(fields["name"]))
		} else if pairs, ok := m.([]any); ok {
			if at := slices.Index(pairs, any("name")); at >= 0 && at+1 < len(pairs) {
				names = append(names, fmt.Sprint(pairs[at+1]))
			}
		}
	}
	return " (only " + strings.Join(names, ", ") + ")"
}

// OneLine returns the text of an error as one line, with each of its lines only once.
func OneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
