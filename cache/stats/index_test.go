package stats

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
)

// differentCounts returns where two indexes differ in what Redis has counted.
func differentCounts(a, b *index) string {
	return gocmp.Diff(a.partitions, b.partitions, gocmp.AllowUnexported(partitionIndex{}), cmpopts.IgnoreFields(partitionIndex{}, "readAt"))
}

// TestCountsReadInPartAreComplete changes counts in Redis. What a refresh has read in part must be
// what a complete one reads: at once for the latest hours and the running executions, and for
// all others when it was the turn of each partition.
func TestCountsReadInPartAreComplete(t *testing.T) {
	t.Parallel()
	c, _ := openRedis(t)
	ctx, db := t.Context(), c.DB()
	rapid.Check(t, func(t *rapid.T) {
		for i := range db.Names.Partitions {
			if err := db.Writers.Del(ctx, db.Names.Partitions[i].Counts).Err(); err != nil {
				t.Fatal(err)
			}
		}
		machines := []tally.Machine{tally.MachineOf(machineA), tally.MachineOf(machineB)}
		for i, name := range []string{machineA, machineB} {
			if err := db.Writers.HSet(ctx, db.Names.Counted, string(machines[i][:]), name).Err(); err != nil {
				t.Fatal(err)
			}
		}
		counts := func() string {
			return db.Names.Partitions[rapid.SampledFrom([]int{0, 1, redisdb.PartitionCount - 1}).Draw(t, "partition")].Counts
		}
		for h := range int64(20) {
			for _, i := range []int{0, 1, redisdb.PartitionCount - 1} {
				if err := db.Writers.HSet(ctx, db.Names.Partitions[i].Counts, fmt.Sprint("t", tally.Hour(now())-20-h), 1).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var x index
		read := func(x *index) {
			if err := x.read(ctx, db); err != nil {
				t.Fatal(err)
			}
		}
		read(&x)
		old := false // a change that only a complete reading shows
		t.Repeat(map[string]func(*rapid.T){
			"count": func(t *rapid.T) {
				age := rapid.SampledFrom([]int64{0, 0, -1, 1, 15, 30}).Draw(t, "age")
				old = old || age > 1
				field := fmt.Sprint(rapid.SampledFrom([]string{"t", "f"}).Draw(t, "kind"), tally.Hour(x.now)-age)
				if err := db.Writers.HIncrBy(ctx, counts(), field, 1).Err(); err != nil {
					t.Fatal(err)
				}
			},
			"run": func(t *rapid.T) {
				m := rapid.SampledFrom(machines).Draw(t, "machine")
				if err := db.Writers.HIncrBy(ctx, counts(), "r"+string(m[:]), 1).Err(); err != nil {
					t.Fatal(err)
				}
			},
			"forget what runs": func(t *rapid.T) {
				m := rapid.SampledFrom(machines).Draw(t, "machine")
				if err := db.Writers.HDel(ctx, counts(), "r"+string(m[:])).Err(); err != nil {
					t.Fatal(err)
				}
			},
			"read": func(t *rapid.T) {
				var all index
				hour := tally.Hour(x.now)
				read(&x)
				old = old || tally.Hour(x.now) != hour // what was of the last hour is older now
				if read(&all); !old && differentCounts(&x, &all) != "" {
					t.Fatalf("read in part, not all (-, +):\n%s", differentCounts(&x, &all))
				}
			},
			"read in turn": func(t *rapid.T) {
				var all index
				for range redisdb.PartitionCount / inTurn {
					read(&x)
				}
				if read(&all); differentCounts(&x, &all) != "" {
					t.Fatalf("read in turn, not all (-, +):\n%s", differentCounts(&x, &all))
				}
				old = false
			},
		})
	})
}

// TestLostCountsAreReadAgain: Redis has lost a whole partition, of which the next refresh reads
// only a part.
func TestLostCountsAreReadAgain(t *testing.T) {
	t.Parallel()
	c, _ := openRedis(t)
	ctx, db := t.Context(), c.DB()
	const partition = redisdb.PartitionCount - 1 // whose turn is the last
	counts, hour := db.Names.Partitions[partition].Counts, tally.Hour(now())
	for h := range int64(20) {
		if err := db.Writers.HSet(ctx, counts, fmt.Sprint("t", hour-h), 1, fmt.Sprint("f", hour-h), 1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var x index
	for i, want := range []func() int{
		func() int { return 20 },
		func() int { return int(tally.Hour(x.now)-1-(hour-20)) - 1 }, // the latest hours are missing
		func() int { return 0 },
	} {
		want := want()
		if err := x.read(ctx, db); err != nil {
			t.Fatal(err)
		}
		p := &x.partitions[partition]
		if len(p.tallies) != want || len(p.failures) != want {
			t.Errorf("refresh %d: %d tallies and %d failures, not %d", i, len(p.tallies), len(p.failures), want)
		}
		if err := db.Writers.Del(ctx, counts).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
