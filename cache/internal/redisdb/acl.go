package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// rehearsal has every command that the store or its scripts use, with possible arguments.
// deploy/redis.acl allows these and nothing else.
func (db *DB) rehearsal() [][]any {
	p := &db.Names.Partitions[0]
	record, index, list, hash := p.Executions, p.Recent, p.Late, p.Born
	all := [][]any{
		{"PING"}, {"INFO"}, {"TIME"}, {"WAIT", 0, 1}, {"SCAN", 0},
		{"EVAL", "return 1", 1, record}, {"EVALSHA", strings.Repeat("0", 40), 1, record},
		{"GET", record}, {"MGET", record}, {"GETRANGE", record, 0, 0}, {"STRLEN", record}, {"EXISTS", record},
		{"SET", p.Probe, ""}, {"APPEND", record, ""}, {"SETRANGE", record, 0, ""}, {"DEL", p.Probe},
		{"PTTL", record}, {"EXPIRE", index, 1}, {"PEXPIRE", index, 1}, {"PEXPIREAT", record, 1},
		{"HGET", hash, "f"}, {"HMGET", hash, "f"}, {"HGETALL", db.Names.Lost}, {"HVALS", db.Names.APIKeys}, {"HLEN", db.Names.APIKeys},
		{"HSET", hash, "f", ""}, {"HSETNX", db.Names.Lost, "f", ""}, {"HINCRBY", hash, "f", 1}, {"HDEL", db.Names.Mismatches(""), "f"}, {"HEXISTS", db.Names.Lost, "f"}, {"INCR", db.Names.KeyCount},
		{"ZADD", index, 1, "m"}, {"ZREM", index, "m"}, {"ZCARD", index}, {"ZSCORE", index, "m"}, {"ZRANGE", index, 0, 0},
		{"ZREVRANGE", index, 0, 0}, {"ZRANGEBYSCORE", index, 0, 0}, {"ZREVRANGEBYSCORE", index, 0, 0}, {"ZREMRANGEBYRANK", index, 0, 0}, {"ZREMRANGEBYSCORE", index, 0, 0},
		{"RPUSH", list, ""}, {"LRANGE", list, 0, 0}, {"LREM", list, 0, ""}, {"LTRIM", list, 0, 0},
		{"GET", db.Names.Owner("")}, {"GET", db.Names.Quota("")}, {"GET", db.Names.Budget("")}, {"GET", db.Names.Sweeps},
		{db.Publish, db.Names.KeyChanges, ""}, {db.Publish, p.Changed, ""},
	}
	if db.address.mode == cluster {
		all = append(all, []any{"ASKING"}, []any{"COMMAND"}, []any{"CLUSTER", "SLOTS"}, []any{"CLUSTER", "NODES"})
	}
	return all
}

// CheckACL returns an error if the Redis user lacks permissions that the store needs. The
// error names the missing rules. The commands are queued in a transaction that is
// discarded, so none of them runs. A command that Redis does not have is also an error,
// for which isUnknown is true.
func (db *DB) CheckACL(ctx context.Context, node Client) error {
	missing, err := db.refused(ctx, node, [][]any{{"MULTI"}, {"DISCARD"}, {"EXEC"}}) // the last one has nothing to run
	if err == nil && len(missing) == 0 {
		complete := append(append([][]any{{"MULTI"}}, db.rehearsal()...), []any{"DISCARD"})
		missing, err = db.refused(ctx, node, complete)
	}
	if err == nil && len(missing) == 0 {
		missing, err = db.refusedSubscription(ctx, node)
	}
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	return db.ruleMissing(missing...)
}

// ruleMissing returns the error that names the missing ACL rules.
func (db *DB) ruleMissing(rules ...string) error {
	user := db.User()
	return fmt.Errorf("%w: its user %s lacks permissions that statusd needs; grant them with ACL SETUSER %s %s", ErrUnfit, user, user, strings.Join(rules, " "))
}

// User returns the name of the Redis user.
func (db *DB) User() string { return cmp.Or(db.address.username, "default") }

// refused sends commands in one pipeline and returns the ACL rules that are missing for
// the refused ones.
func (db *DB) refused(ctx context.Context, node Client, commands [][]any) (rules []string, err error) {
	pipe := node.Pipeline()
	for _, args := range commands {
		pipe.Do(ctx, args...)
	}
	answers, err := pipe.Exec(ctx)
	for i, answer := range answers {
		if isUnknown(answer.Err()) && commands[i][0] != "WAIT" { // which only replicas need
			return nil, answer.Err()
		}
		if rule := db.ruleFor(answer.Err(), commands[i]); rule != "" && !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	if _, answered := errors.AsType[redis.Error](err); answered || errors.Is(err, redis.Nil) {
		err = nil // an error of the command itself, which does not matter here
	}
	return rules, err
}

// isUnknown reports whether Redis does not have a command.
func isUnknown(err error) bool {
	return err != nil && saysWord(err.Error(), "ERR unknown command")
}

// refusedSubscription is like refused, for the subscription to the change channels.
func (db *DB) refusedSubscription(ctx context.Context, node Client) (rules []string, err error) {
	sub := subscribeTo(ctx, node)
	defer func() { _ = sub.Close() }() // it is not needed any more
	p := &db.Names.Partitions[0]
	name, subscribe := "SUBSCRIBE", sub.Subscribe
	if db.address.mode == cluster {
		name, subscribe = "SSUBSCRIBE", sub.SSubscribe
	}
	if err := subscribe(ctx, p.Changed); err != nil {
		return nil, err
	}
	_, err = sub.ReceiveTimeout(ctx, db.options.WriteLimit)
	if rule := db.ruleFor(err, []any{name}); rule != "" {
		return []string{rule}, nil
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		err = nil // for example because another node has the partition
	}
	return nil, err
}

// ruleFor returns the ACL rule that is missing if a command was refused, empty if it was not
// refused.
func (db *DB) ruleFor(err error, args []any) string {
	if err == nil || !strings.Contains(err.Error(), "NOPERM") { // which EXEC says last
		return ""
	}
	switch text := err.Error(); {
	case strings.Contains(text, "channel"):
		return "&" + db.Names.Prefix + ":*"
	case strings.Contains(text, "key"):
		return "~" + db.Names.Prefix + ":*"
	}
	rule := "+" + strings.ToLower(fmt.Sprint(args[0]))
	if args[0] == "CLUSTER" {
		rule += "|" + strings.ToLower(fmt.Sprint(args[1]))
	}
	return rule
}

// scriptForbidden is in the error of a script that called what its user may not, since Redis 7.2
// and in Valkey. Before, that error had NOPERM.
const scriptForbidden = "ACL failure in script:"

// forbids reports whether an error means that the Redis user lacks a permission.
func forbids(err error) bool {
	return err != nil && slices.ContainsFunc([]string{"NOPERM", scriptForbidden, "The user executing the script can't"}, func(word string) bool {
		return strings.Contains(err.Error(), word)
	})
}
