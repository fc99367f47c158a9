package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// rehearsal is every command that the store sends, or its scripts call, each with
// arguments that it may have. deploy/redis.acl allows these and nothing else.
func (c *Cache) rehearsal() [][]any {
	p := &c.names.partitions[0]
	record, index, list, hash := p.executions, p.recent, p.late, p.born
	all := [][]any{
		{"PING"}, {"INFO"}, {"TIME"}, {"WAIT", 0, 1}, {"SCAN", 0},
		{"EVAL", "return 1", 1, record}, {"EVALSHA", strings.Repeat("0", 40), 1, record},
		{"GET", record}, {"MGET", record}, {"GETRANGE", record, 0, 0}, {"STRLEN", record}, {"EXISTS", record},
		{"SET", p.probe, ""}, {"APPEND", record, ""}, {"SETRANGE", record, 0, ""}, {"DEL", p.probe},
		{"PTTL", record}, {"EXPIRE", index, 1}, {"PEXPIRE", index, 1}, {"PEXPIREAT", record, 1},
		{"HGET", hash, "f"}, {"HMGET", hash, "f"}, {"HGETALL", c.names.lost}, {"HVALS", c.names.apiKeys}, {"HLEN", c.names.apiKeys},
		{"HSET", hash, "f", ""}, {"HSETNX", c.names.lost, "f", ""}, {"HINCRBY", hash, "f", 1}, {"HDEL", c.names.doubts(""), "f"}, {"HEXISTS", c.names.lost, "f"}, {"INCR", c.names.keyCount},
		{"ZADD", index, 1, "m"}, {"ZREM", index, "m"}, {"ZCARD", index}, {"ZSCORE", index, "m"}, {"ZRANGE", index, 0, 0},
		{"ZREVRANGE", index, 0, 0}, {"ZRANGEBYSCORE", index, 0, 0}, {"ZREVRANGEBYSCORE", index, 0, 0}, {"ZREMRANGEBYRANK", index, 0, 0}, {"ZREMRANGEBYSCORE", index, 0, 0},
		{"RPUSH", list, ""}, {"LRANGE", list, 0, 0}, {"LREM", list, 0, ""}, {"LTRIM", list, 0, 0},
		{"GET", c.names.owner("")}, {"GET", c.names.quota("")}, {"GET", c.names.budget("")}, {"GET", c.names.sweeps},
		{c.publish, c.names.keyChanges, ""}, {c.publish, p.changed, ""},
	}
	if c.address.mode == cluster {
		all = append(all, []any{"ASKING"}, []any{"COMMAND"}, []any{"CLUSTER", "SLOTS"}, []any{"CLUSTER", "NODES"})
	}
	return all
}

// checkACL refuses a Redis user who may not do what the store needs, and names the rules
// that are missing. The commands are queued in a transaction that is thrown away, so none
// of them runs.
func (c *Cache) checkACL(ctx context.Context, node *redis.Client) error {
	missing, err := c.refused(ctx, node, [][]any{{"MULTI"}, {"DISCARD"}, {"EXEC"}}) // the last finds nothing to run
	if err == nil && len(missing) == 0 {
		whole := append(append([][]any{{"MULTI"}}, c.rehearsal()...), []any{"DISCARD"})
		missing, err = c.refused(ctx, node, whole)
	}
	if err == nil && len(missing) == 0 {
		missing, err = c.refusedSubscription(ctx, node)
	}
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	return c.ruleMissing(missing...)
}

// ruleMissing says which ACL rules the Redis user lacks.
func (c *Cache) ruleMissing(rules ...string) error {
	user := c.address.user()
	return fmt.Errorf("%w: its user %s may not do all that is needed; ACL SETUSER %s %s", ErrUnfit, user, user, strings.Join(rules, " "))
}

// user returns the name of the Redis user.
func (a *address) user() string {
	if a.username == "" {
		return "default"
	}
	return a.username
}

// refused sends commands in one pipeline and returns the ACL rules without which Redis
// refused some.
func (c *Cache) refused(ctx context.Context, node *redis.Client, commands [][]any) (rules []string, err error) {
	pipe := node.Pipeline()
	for _, args := range commands {
		pipe.Do(ctx, args...)
	}
	answers, err := pipe.Exec(ctx)
	for i, answer := range answers {
		if rule := c.ruleFor(answer.Err(), commands[i]); rule != "" && !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	if _, said := errors.AsType[redis.Error](err); said || errors.Is(err, redis.Nil) {
		err = nil // of a command that would have failed otherwise, which shows nothing here
	}
	return rules, err
}

// refusedSubscription is refused for the subscription to the change channels.
func (c *Cache) refusedSubscription(ctx context.Context, node *redis.Client) (rules []string, err error) {
	sub := node.Subscribe(ctx)
	defer func() { _ = sub.Close() }() // it was of use once
	p := &c.names.partitions[0]
	name, subscribe := "SUBSCRIBE", sub.Subscribe
	if c.address.mode == cluster {
		name, subscribe = "SSUBSCRIBE", sub.SSubscribe
	}
	if err := subscribe(ctx, p.changed); err != nil {
		return nil, err
	}
	_, err = sub.ReceiveTimeout(ctx, c.options.WriteLimit)
	if rule := c.ruleFor(err, []any{name}); rule != "" {
		return []string{rule}, nil
	}
	if _, said := errors.AsType[redis.Error](err); said {
		err = nil // such as the partition being another node's
	}
	return nil, err
}

// ruleFor returns the ACL rule for want of which a command was refused, empty if it was not.
func (c *Cache) ruleFor(err error, args []any) string {
	if err == nil || !strings.Contains(err.Error(), "NOPERM") { // which EXEC says last
		return ""
	}
	switch text := err.Error(); {
	case strings.Contains(text, "channel"):
		return "&" + c.names.prefix + ":*"
	case strings.Contains(text, "key"):
		return "~" + c.names.prefix + ":*"
	}
	rule := "+" + strings.ToLower(fmt.Sprint(args[0]))
	if args[0] == "CLUSTER" {
		rule += "|" + strings.ToLower(fmt.Sprint(args[1]))
	}
	return rule
}

// forbids reports whether Redis does not allow its user what is needed.
func forbids(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), "The user executing the script can't"))
}
