package redisdb

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Unreachable reports whether err means that Redis gave no answer at all, in time or
// ever, so that everything that needs Redis fails in the same way.
func Unreachable(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout)
}

// refusals are the answers by which a Redis refuses to write, by how they begin.
var refusals = []struct{ prefix, brief, fix string }{
	{"OOM", "Redis is full", "raise its maxmemory or take a larger node, or lower RETENTION"},
	{"NOPERM", "the Redis user lacks a permission", "grant it with ACL SETUSER: the commands, the keys of REDIS_PREFIX (~sc:*) and the channels (&sc:*)"},
	{"ERR The user executing the script", "the Redis user lacks a permission", "grant with ACL SETUSER what the scripts call, or +@all on its keys (~sc:*)"},
	{"NOAUTH", "Redis wants a password", "put user and password into REDIS_URL, or the password into REDIS_PASSWORD_FILE"},
	{"WRONGPASS", "Redis refuses the password", "put the right user into REDIS_URL, and the right password there or into REDIS_PASSWORD_FILE"},
	{"READONLY", "this Redis is a replica", "point REDIS_URL to the primary, or use redis+sentinel:// or redis+cluster://, which follow it"},
	{"MISCONF", "Redis cannot write to its disk", "read the log of Redis and see that its disk is not full"},
	{"CROSSSLOT", "this Redis is a node of a cluster", "use redis+cluster:// in REDIS_URL"},
	{"MOVED", "this Redis is a node of a cluster", "use redis+cluster:// in REDIS_URL; where it is used already, wait for the slots to have moved"},
	{"ASK", "slots of the Redis cluster are moving", "wait for them to have moved"},
	{"TRYAGAIN", "slots of the Redis cluster are moving", "wait for them to have moved"},
	{"CLUSTERDOWN", "the Redis cluster is down", "see with CLUSTER INFO which slots no node serves"},
	{"NOREPLICAS", "Redis has too few replicas", "connect them, or lower its min-replicas-to-write"},
	{"MASTERDOWN", "this Redis is a replica", "point REDIS_URL to the primary"},
	{"LOADING", "Redis is loading its records", "wait until it has"},
	{"BUSY", "a script keeps Redis busy", "find it in its log and end it with SCRIPT KILL"},
	{"ERR max number of clients", "Redis takes no more connections", "raise its maxclients"},
	{"DENIED", "Redis is in protected mode", "give it a password (requirepass) or an ACL user, or set protected-mode no on a network that is safe"},
	{"ERR unknown command", "Redis lacks a command", "enable it; scripts (EVAL, EVALSHA, SCRIPT) are needed"},
}

// Explain says what an error of Redis means: in a few words for everybody, which name
// no address and no user, and in one line for the operator, with the fix.
func Explain(err error) (brief, text string) {
	if plain, ok := errors.AsType[*explained](err); ok { // it has the fix already
		brief, _ = Explain(plain.cause)
		return brief, plain.text
	}
	if replicas, ok := errors.AsType[*replicasError](err); ok {
		return "too few Redis replicas confirm", replicas.Error()
	}
	detail := firstLine(err)
	if errors.Is(err, ErrReplicas) {
		return "too few Redis replicas confirm", detail
	}
	for _, r := range refusals {
		if refusal(err, r.prefix) {
			return r.brief, r.brief + " (" + detail + "); " + r.fix
		}
	}
	if wrong := certificateError(err, TLS{}); wrong != "" {
		return "a certificate for Redis is refused", wrong
	}
	if Unreachable(err) {
		return "Redis does not answer", "Redis does not answer (" + detail + "); see that it runs and can be reached at REDIS_URL"
	}
	return "Redis answers with an error", "Redis answers with an error: " + detail
}

// refusal reports whether err is an answer that begins so, or a joined error of which
// one is. What the script itself caught is behind "redis: ".
func refusal(err error, prefix string) bool {
	if redis.HasErrorPrefix(err, prefix) {
		return true
	}
	for line := range strings.Lines(err.Error()) {
		if strings.HasPrefix(line, prefix) || strings.Contains(line, ": "+prefix+" ") {
			return true
		}
	}
	return false
}

func firstLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
