package cache

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/tally"
)

// How many keys and arguments apply.lua takes for each execution, and which argument says
// what is to be counted.
const (
	keysEach       = 7
	argumentsEach  = 6
	countsArgument = 6
)

// countingConstants are the constants of count.lua, beside those of a record.
func countingConstants() string {
	var b strings.Builder
	for _, each := range []struct {
		name  string
		value int
	}{
		{"KEYS_EACH", keysEach}, {"ARGS_EACH", argumentsEach}, {"COUNTS", countsArgument},
		{"KEPT_HOURS", tally.KeptHours}, {"HOUR_DIGITS", tally.HourDigits}, {"MACHINE_LENGTH", tally.MachineLength},
		{"HEADER_LENGTH", tally.HeaderLength}, {"ENTRY_LENGTH", tally.EntryLength},
		{"MILLIS_DIGITS", tally.MillisDigits}, {"GROUP_LENGTH", tally.GroupLength}, {"SLOTS", tally.Slots},
		{"MAX_GROUPS", tally.MaxGroups}, {"MAX_EXAMPLES", tally.MaxExamples},
	} {
		fmt.Fprintf(&b, "local %s = %d\n", each.name, each.value)
	}
	return b.String()
}

// counts returns what count.lua is given of an observation: its start, and its end if the
// API reports that it has ended.
func counts(e *Execution, machine tally.Machine) []byte {
	b := tally.AppendEvent(make([]byte, 0, 48), machine, tally.Started, e.StartDate)
	switch status := publicStatus(e); {
	case !e.Terminal() || status == Running:
		return b
	case status == Succeeded:
		return tally.AppendEvent(b, machine, tally.Bucket(e.StopDate.Sub(e.StartDate)), e.StopDate)
	}
	b = tally.AppendEvent(b, machine, tally.Failed, e.StopDate)
	return tally.CauseOf(machine, e.Error, e.ErrorMessage).AppendFailure(b, e.StopDate)
}

//go:embed recount.lua
var recountSource string

var recountScript = redis.NewScript(countingConstants() + recountSource)

// RecountRunning counts again how many executions of each state machine run, in every
// partition where that was last done longer than goodFor ago, by any process.
func (c *Cache) RecountRunning(ctx context.Context, goodFor time.Duration) error {
	for i := range c.db.Names.Partitions {
		p := &c.db.Names.Partitions[i]
		if err := recountScript.Run(ctx, c.db.Writers, []string{p.Running, p.Counts}, goodFor.Milliseconds()).Err(); err != nil {
			return fmt.Errorf("count what runs: %w", err)
		}
	}
	return nil
}
