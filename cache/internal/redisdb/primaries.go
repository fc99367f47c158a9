package redisdb

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// primaries sends writes to the primaries that have their keys, and determines which writes
// are confirmed. A confirmed write was run by the primary, and received by as many replicas as
// required (replicas.go).
type primaries struct {
	client  Client // of writes: it repeats nothing by itself
	address *address
	names   *Names
	dial    Dialer
	acks    int // replicas that must confirm; AutoAcks: replicas.go

	mu      sync.Mutex
	demands map[string]Demand // by the address of the primary
	others  map[string]Client // nodes that only redirections name
}

func newPrimaries(client Client, a *address, n *Names, o Options) *primaries {
	return &primaries{
		client: client, address: a, names: n, dial: o.Dial, acks: o.ReplicaAcks,
		demands: map[string]Demand{}, others: map[string]Client{},
	}
}

// Command is a command or a script for the primary of its keys.
type Command struct {
	keys   []string      // of one slot; a command has one
	script *redis.Script // nil: args are the command
	args   []any

	Answer *redis.Cmd
	Err    error // why it is not confirmed: the error of the answer or of the connection

	node   Client // where to send it; nil: to the primary of its keys
	asking bool   // node takes it only as an exception, since the slot moves there
	text   bool   // node does not have the script
}

// NewCommand returns a command about one key.
func NewCommand(key string, args ...any) *Command {
	return &Command{keys: []string{key}, args: args}
}

// NewScript returns a call of a script. On a cluster its keys must share a slot.
func NewScript(script *redis.Script, keys []string, args ...any) *Command {
	return &Command{keys: keys, script: script, args: args}
}

// queue appends the command to a pipeline.
func (c *Command) queue(ctx context.Context, pipe redis.Pipeliner) {
	if c.asking {
		pipe.Do(ctx, "ASKING")
	}
	switch {
	case c.script == nil:
		c.Answer = pipe.Do(ctx, c.args...)
	case c.text:
		c.Answer = c.script.Eval(ctx, pipe, c.keys, c.args...)
	default:
		c.Answer = c.script.EvalSha(ctx, pipe, c.keys, c.args...)
	}
}

const (
	firstRetryPause = 5 * time.Millisecond
	maxRetryPause   = 50 * time.Millisecond
)

// confirm sends commands, the commands for one primary in one pipeline and in order, and
// returns when each is confirmed or has an error. It follows a slot that moves to another
// primary as long as ctx lasts, because a redirected command has not run. A command that
// may have run is not sent again.
//
// A script with several keys cannot run while their slot moves, because some keys have
// moved and some have not. SlotMoves is true for its error.
func (p *primaries) confirm(ctx context.Context, commands ...*Command) {
	pause := firstRetryPause
	for {
		p.sendAll(ctx, commands)
		var again []*Command
		waits := false
		for _, c := range commands {
			repeat, wait := p.redirect(ctx, c)
			if repeat {
				again = append(again, c)
			}
			waits = waits || wait
		}
		if len(again) == 0 || ctx.Err() != nil {
			return
		}
		commands = again
		if !waits {
			continue
		}
		select {
		case <-ctx.Done():
			return // with the errors they have
		case <-time.After(pause):
		}
		pause = min(2*pause, maxRetryPause)
	}
}

// redirect checks the result of a command, and reports whether it must be sent again, and
// whether to wait before that.
func (p *primaries) redirect(ctx context.Context, c *Command) (again, wait bool) {
	if c.Err == nil {
		return false, false
	}
	if redis.HasErrorPrefix(c.Err, "NOSCRIPT") && !c.text {
		c.text = true
		return true, false
	}
	if addr, ok := redis.IsMovedError(c.Err); ok {
		p.reload(ctx)
		// For a short time, two nodes may each say that the other one has the slot.
		c.node, c.asking, wait = p.node(ctx, addr), false, c.node != nil
		return true, wait
	}
	if len(c.keys) > 1 && SlotMoves(c.Err) {
		return false, false
	}
	if addr, ok := redis.IsAskError(c.Err); ok {
		c.node, c.asking, wait = p.node(ctx, addr), true, c.asking
		return true, wait
	}
	if redis.IsTryAgainError(c.Err) {
		c.node, c.asking = nil, false
		return true, true
	}
	if redis.IsReadOnlyError(c.Err) {
		p.reload(ctx)
	}
	return false, false
}

// SlotMoves reports whether a command did not run because its slot is moving to another
// primary.
func SlotMoves(err error) bool {
	_, asks := redis.IsAskError(err)
	return asks || redis.IsTryAgainError(err)
}

// MovedAway reports whether a key is not, or not only, on the node that was asked.
func MovedAway(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "READONLY")
}

func (p *primaries) reload(ctx context.Context) {
	if nodes, ok := p.client.(*redis.ClusterClient); ok {
		nodes.ReloadState(ctx)
	}
}

// node returns a client of a node in a redirection. The node may not have a slot yet, so
// a ClusterClient may not know it.
func (p *primaries) node(ctx context.Context, addr string) Client {
	if strings.HasPrefix(addr, ":") {
		return nil // the redirection does not name the node; the reloaded state will
	}
	var known Client
	var mu sync.Mutex
	if nodes, ok := p.client.(*redis.ClusterClient); ok {
		_ = nodes.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			if Address(node) == addr {
				known = node
			}
			return nil
		})
	}
	if known != nil {
		return known
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.others[addr] == nil {
		p.others[addr] = p.address.node(addr, writes, p.dial)
	}
	return p.others[addr]
}

// close ends the connections to nodes that only redirections have named.
func (p *primaries) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []error
	for _, node := range p.others {
		all = append(all, node.Close())
	}
	return errors.Join(all...)
}

// sendAll sends each command once.
func (p *primaries) sendAll(ctx context.Context, commands []*Command) {
	groups := map[Client][]*Command{}
	for _, c := range commands {
		node := c.node
		if node == nil {
			var err error
			if node, err = primaryOf(ctx, p.client, c.keys[0]); err != nil {
				c.Err = err
				continue
			}
		}
		groups[node] = append(groups[node], c)
	}
	if len(groups) == 1 {
		for node, group := range groups {
			p.send(ctx, node, group)
		}
		return
	}
	var wg sync.WaitGroup
	for node, group := range groups {
		wg.Go(func() { p.send(ctx, node, group) })
	}
	wg.Wait()
}

// send sends commands to one primary in one pipeline. If replicas must confirm, WAIT uses
// the same connection, because it covers only the writes of its connection.
func (p *primaries) send(ctx context.Context, node Client, group []*Command) {
	wanted, err := p.demand(ctx, node)
	if err != nil {
		for _, c := range group {
			c.Err = err
		}
		return
	}
	pipe := node.Pipeline()
	for _, c := range group {
		c.queue(ctx, pipe)
	}
	confirmed := wanted.ask(ctx, pipe)
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	unconfirmed := confirmed()
	for _, c := range group {
		if c.Err = c.Answer.Err(); errors.Is(c.Err, redis.Nil) {
			c.Err = nil
		}
		if c.Err == nil {
			c.Err = unconfirmed
		}
	}
}
