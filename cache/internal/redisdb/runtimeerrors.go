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

// Unreachable reports whether err means that Redis did not answer at all. Everything that
// needs Redis then fails in the same way.
func Unreachable(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout)
}

// refusals are the answers with which Redis refuses writes, by their beginnings.
var refusals = []struct{ prefix, brief, fix string }{
	{"OOM", "Redis is full", "raise its maxmemory, use a larger node, or lower RETENTION"},
	{"NOPERM", "the Redis user lacks a permission", "grant it with ACL SETUSER: the commands, the keys of REDIS_PREFIX (~sc:*) and the channels (&sc:*)"},
	{"ERR " + scriptForbidden, "the Redis user lacks a permission", "grant it with ACL SETUSER: the commands, the keys of REDIS_PREFIX (~sc:*) and the channels (&sc:*)"},
	{"ERR The user executing the script", "the Redis user lacks a permission", "with ACL SETUSER, grant the commands that the scripts call, or +@all, on the keys ~sc:*"},
	{"NOAUTH", "Redis requires a password", "put user and password into REDIS_URL, or the password into REDIS_PASSWORD_FILE"},
	{"WRONGPASS", "Redis refuses the password", "put the correct user into REDIS_URL, and the correct password there or into REDIS_PASSWORD_FILE"},
	{"READONLY", "this Redis is a replica", "point REDIS_URL to the primary, or use redis+sentinel:// or redis+cluster://, which follow it"},
	{"MISCONF", "Redis cannot write to its disk", "read the log of Redis, and check that its disk is not full"},
	{"CROSSSLOT", "this Redis is a node of a cluster", "use redis+cluster:// in REDIS_URL"},
	{"MOVED", "this Redis is a node of a cluster", "use redis+cluster:// in REDIS_URL; if it is already used, wait until the slots have moved"},
	{"ASK", "slots of the Redis cluster are moving", "wait until they have moved"},
	{"TRYAGAIN", "slots of the Redis cluster are moving", "wait until they have moved"},
	{"CLUSTERDOWN", "the Redis cluster is down", "run CLUSTER INFO to see which slots have no node"},
	{"NOREPLICAS", "Redis has too few replicas", "connect them, or lower its min-replicas-to-write"},
	{"MASTERDOWN", "this Redis is a replica", "point REDIS_URL to the primary"},
	{"LOADING", "Redis is loading its records", "wait until it has finished"},
	{"BUSY", "a script keeps Redis busy", "find the script in the log of Redis, and end it with SCRIPT KILL"},
	{"ERR max number of clients", "Redis accepts no more connections", "raise its maxclients"},
	{"DENIED", "Redis is in protected mode", "give it a password (requirepass) or an ACL user, or set protected-mode no on a safe network"},
	{"ERR unknown command", "Redis lacks a command", "enable it; scripts (EVAL, EVALSHA, SCRIPT) are needed"},
}

// Explain explains an error of Redis: in a few words for the public, without addresses
// and users, and in one line for the operator, with the fix.
func Explain(err error) (brief, text string) {
	if plain, ok := errors.AsType[*explained](err); ok { // it already has the fix
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
		return "Redis does not answer", "Redis does not answer (" + detail + "); check that it runs and can be reached at REDIS_URL"
	}
	return "Redis returned an error", "Redis returned an error: " + detail
}

// refusal reports whether err, or one of its joined errors, is an answer that begins with
// the given text. Errors that a script caught begin with "redis: ".
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
