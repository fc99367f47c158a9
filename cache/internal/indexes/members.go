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
	return distinct(members), err
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

// Mixed reports whether members have both forms. Then an execution may be there twice: an older
// release may have entered the ARN although the short form was there.
func Mixed(members []Member) bool {
	short, long := false, false
	for i := range members {
		same := members[i].Text == string(members[i].ARN)
		short, long = short || !same, long || same
	}
	return short && long
}

// distinct is Members for members that are resolved.
func distinct(members []Member) []arn.Execution {
	arns := make([]arn.Execution, 0, len(members))
	for _, m := range members {
		if m.ARN != "" {
			arns = append(arns, m.ARN)
		}
	}
	if !Mixed(members) {
		return arns
	}
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
