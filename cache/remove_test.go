package cache

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
)

// TestAnExecutionIsRemovedOnTheConditionOnly, and then from everything that has it. Where
// there is no record, Step Functions may still have to be asked about the execution.
func TestAnExecutionIsRemovedOnTheConditionOnly(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, start := testARN(t, "removed"), now()
	p, v := c.db.Names.Partition(string(arn)), versionOf(running(arn, start))
	lists := []string{p.Running, p.Recent, p.Awaiting, p.Mismatched}
	older := olderRecord(recordOf(&Execution{ARN: arn, Status: Running, StartDate: start}, "ada", "url"))
	for name, test := range map[string]struct {
		record any // nil: as Apply writes it; empty: none
		only   condition
		left   []string
	}{
		"the version":             {nil, versionIs(v), nil},
		"another version":         {nil, versionIs(v[:versionLength-1] + "9"), lists},
		"the owner":               {nil, ownerIs("ada"), nil},
		"a longer owner":          {nil, ownerIs("ada1"), lists},
		"another owner":           {nil, ownerIs("eve"), lists},
		"the owner, older format": {older, ownerIs("ada"), nil},
		"no record":               {"", recordAbsent, []string{p.Awaiting, p.Mismatched}},
		"a record after all":      {nil, recordAbsent, lists},
		"a part of the version":   {nil, versionIs(v[:1]), lists},
		"no version is wanted":    {nil, versionIs(""), lists},
		"no version":              {"", versionIs(v), lists},
		"no owner":                {"", ownerIs("ada"), lists},
	} {
		t.Run(name, func(t *testing.T) {
			e := running(arn, start)
			e.Owner = "ada"
			c.db.Writers.Del(t.Context(), p.Executions+string(arn))
			apply(t, c, e)
			switch test.record {
			case nil:
			case "":
				c.db.Writers.Del(t.Context(), p.Executions+string(arn))
			default:
				c.db.Writers.Set(t.Context(), p.Executions+string(arn), test.record, time.Hour)
			}
			for _, list := range lists {
				c.db.Writers.ZAdd(t.Context(), list, redis.Z{Score: 1, Member: string(arn)})
			}
			n, err := c.remove(t.Context(), c.db.Writers, arn, test.only).Int()
			if err != nil || (n == 1) == (len(test.left) == len(lists)) {
				t.Errorf("answer %d, %v", n, err)
			}
			left := map[string]bool{}
			for _, list := range test.left {
				left[list] = true
			}
			for _, list := range lists {
				if has := slices.Contains(indexMembers(t, c, list), arn); has != left[list] {
					t.Errorf("%s has it: %v", list, has)
				}
			}
			if there := c.db.Writers.Exists(t.Context(), p.Executions+string(arn)).Val() == 1; there != (test.record != "" && len(test.left) > 0) {
				t.Errorf("there is a record: %v", there)
			}
		})
	}
}
