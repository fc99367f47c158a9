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

// Member is an entry of an index of executions, as the index has it, and the execution.
type Member struct {
	Text string
	ARN  arn.Execution // empty for one of a state machine of which Redis has lost the name
}

// Members returns the executions that members of indexes name, each once and in their order. It
// leaves out what belongs to a state machine of which Redis has lost the name.
func Members(ctx context.Context, db *redisdb.DB, texts []string) ([]arn.Execution, error) {
	members, err := Resolve(ctx, db, texts)
	return Distinct(members), err
}

// Resolve returns what each member of indexes names.
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
	// An older release may have entered the ARN where the short form was.
	known := make(map[arn.Execution]bool, len(arns))
	return slices.DeleteFunc(arns, func(one arn.Execution) bool {
		twice := known[one]
		known[one] = true
		return twice
	})
}

// Entries is Members for entries with their scores. Those of the same start date are in the
// descending order of their ARNs, as in lists; the others are in the order of the index.
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
