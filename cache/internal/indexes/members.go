package indexes

import (
	"cmp"
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/arn"
	"statuscache/cache/internal/redisdb"
)

// Entry is an entry of an index of executions by start date.
type Entry struct {
	Start int64 // ms
	ARN   arn.Execution
}

// Member is a member of an index of executions in its stored form, and the execution.
type Member struct {
	Text string
	ARN  arn.Execution // empty if Redis has lost the name of its state machine
}

// Members returns the executions of index members, each once and in their order. It leaves out
// executions if Redis has lost the name of their state machine.
func Members(ctx context.Context, db *redisdb.DB, texts []string) ([]arn.Execution, error) {
	members, err := Resolve(ctx, db, texts)
	return Distinct(members), err
}

// Resolve returns the execution of each index member.
func Resolve(ctx context.Context, db *redisdb.DB, texts []string) ([]Member, error) {
	arns, err := db.Machines.ARNs(ctx, texts)
	if err != nil {
		return nil, err
	}
	members := make([]Member, len(texts))
	for i, text := range texts {
		members[i] = Member{text, arn.Execution(arns[i])}
	}
	return members, nil
}

// Distinct is Members for members that are resolved.
func Distinct(members []Member) []arn.Execution {
	arns := make([]arn.Execution, 0, len(members))
	short, long := false, false
	for _, m := range members {
		if m.ARN != "" {
			arns = append(arns, m.ARN)
		}
		same := m.Text == string(m.ARN)
		short, long = short || !same, long || same
	}
	if !short || !long {
		return arns
	}
	// An older release may have entered the ARN although the short form was there.
	known := make(map[arn.Execution]bool, len(arns))
	return slices.DeleteFunc(arns, func(one arn.Execution) bool {
		twice := known[one]
		known[one] = true
		return twice
	})
}

// Entries is Members for entries with their scores. Entries with the same start date are in
// descending order of their ARNs, as in lists; otherwise the order is that of the index.
func Entries(ctx context.Context, db *redisdb.DB, entries []redis.Z) ([]Entry, error) {
	members := make([]string, len(entries))
	for i, z := range entries {
		members[i], _ = z.Member.(string)
	}
	texts, err := db.Machines.ARNs(ctx, members)
	if err != nil {
		return nil, err
	}
	all := make([]Entry, 0, len(entries))
	for i, text := range texts {
		if text != "" {
			all = append(all, Entry{int64(entries[i].Score), arn.Execution(text)})
		}
	}
	for first, i := 0, 1; i <= len(all); i++ {
		if i == len(all) || all[i].Start != all[first].Start {
			slices.SortFunc(all[first:i], func(a, b Entry) int { return cmp.Compare(b.ARN, a.ARN) })
			first = i
		}
	}
	return slices.Compact(all), nil
}
