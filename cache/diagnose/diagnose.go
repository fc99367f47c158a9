package diagnose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
)

// Limits of a healthy Redis.
const (
	diagnoseLimit = 5 * time.Second
	mostSkew      = 2 * time.Second // between the clock of Redis and ours
	mostMemory    = 0.8             // part of it that may be in use
)

// Run checks every primary, and the newest records. There is one finding for each check:
// the worst of all primaries.
func Run(ctx context.Context, c *cache.Cache, keys PepperChecker) []Finding {
	db := c.DB()
	ctx, cancel := context.WithTimeout(ctx, max(diagnoseLimit, db.Limits.Read))
	defer cancel()
	primaries, err := askPrimaries(ctx, db)
	reached := Finding{Check: "Redis", Detail: fmt.Sprintf("all primaries answer (%d)", len(primaries))}
	if err == nil && len(primaries) == 0 {
		err = errors.New("no primary is known")
	}
	if err != nil {
		problem, fix, _ := strings.Cut(strings.TrimPrefix(redisdb.OneLine(db.Examine(ctx, err)), redisdb.ErrUnfit.Error()+": "), "; ")
		reached.Problem = "Redis does not answer: " + problem
		reached.Fix = cmp.Or(fix, "check that Redis runs, and that the address, user and password in REDIS_URL are correct")
	}
	findings := []Finding{reached}
	for _, check := range primaryChecks {
		if err != nil {
			findings = append(findings, NotChecked(check.name, "Redis does not answer"))
			continue
		}
		findings = append(findings, worst(db, check, primaries))
	}
	return append(findings, diagnoseUser(ctx, db, err == nil), diagnoseEvents(ctx, c, err == nil), diagnoseOwners(ctx, c, err == nil), diagnosePepper(ctx, keys, err == nil))
}

func diagnoseUser(ctx context.Context, db *redisdb.DB, reached bool) Finding {
	const name = "Redis user"
	if !reached {
		return NotChecked(name, "Redis does not answer")
	}
	switch err := db.EachPrimary(ctx, db.CheckACL); {
	case errors.Is(err, redisdb.ErrUnfit):
		return unfit(name, err)
	case err != nil:
		return NotChecked(name, err.Error())
	}
	return Finding{Check: name, Detail: db.User() + " has all needed permissions"}
}

// primary is the state that one primary reports.
type primary struct {
	addr string
	info redisdb.Info
	skew time.Duration // its clock minus ours
	save saving

	missed error // the effect of its missing replica; nil: none is missing
}

func askPrimaries(ctx context.Context, db *redisdb.DB) ([]primary, error) {
	var mu sync.Mutex
	var all []primary
	err := db.EachPrimary(ctx, func(ctx context.Context, node redisdb.Client) error {
		info, err := redisdb.ServerInfo(ctx, node)
		if err == nil {
			err = db.CheckKind(info)
		}
		if err != nil {
			return err
		}
		asked := time.Now()
		there, err := node.Time(ctx).Result()
		if err != nil {
			return fmt.Errorf("read the time of Redis: %w", err)
		}
		here := asked.Add(time.Since(asked) / 2)
		missed, err := db.MissedReplica(ctx, node, info, there)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, primary{redisdb.Address(node), info, there.Sub(here), savingOf(ctx, node), missed})
		return err
	})
	return all, err
}

// saving describes the save points of a Redis.
type saving int

const (
	savingUnknown   saving = iota // a managed Redis does not have CONFIG
	savingForbidden               // the user may not run CONFIG GET
	savesNever
	savesAtTimes
)

func savingOf(ctx context.Context, node redisdb.Client) saving {
	switch points, err := node.ConfigGet(ctx, "save").Result(); {
	case err != nil && strings.Contains(err.Error(), "NOPERM"):
		return savingForbidden
	case err != nil || len(points) == 0:
		return savingUnknown
	case points["save"] == "":
		return savesNever
	}
	return savesAtTimes
}

// primaryCheck checks one primary.
type primaryCheck struct {
	name string
	look func(*redisdb.DB, primary) Finding
}

var primaryChecks = []primaryCheck{
	{"Redis version", diagnoseVersion},
	{"Redis eviction", diagnoseEviction},
	{"Redis persistence", diagnosePersistence},
	{"Redis replicas", diagnoseReplicas},
	{"Redis memory", diagnoseMemory},
	{"Redis clock", diagnoseClock},
}

// worst returns the worst finding; if several are equally bad, the first of them.
func worst(db *redisdb.DB, check primaryCheck, primaries []primary) (f Finding) {
	for i, p := range primaries {
		found := check.look(db, p)
		if i > 0 && found.gravity() <= f.gravity() {
			continue
		}
		f = found
		if len(primaries) > 1 && f.gravity() == mostGrave {
			f.Problem = p.addr + ": " + f.Problem
		}
	}
	f.Check = check.name
	return f
}

// unfit splits an error that is one line with the fix.
func unfit(check string, err error) Finding {
	problem, fix, _ := strings.Cut(strings.TrimPrefix(redisdb.OneLine(err), redisdb.ErrUnfit.Error()+": "), "; ")
	return Finding{Check: check, Problem: problem, Fix: fix}
}

func diagnoseVersion(db *redisdb.DB, p primary) Finding {
	if err := db.CheckVersion(p.info); err != nil {
		f := unfit("", err)
		f.Fix = "run a newer Redis or Valkey"
		return f
	}
	if p.info["redis_version"] == "" {
		return Undecided("", "this Redis does not report its version")
	}
	return Finding{Detail: p.info["redis_version"]}
}

func diagnoseEviction(_ *redisdb.DB, p primary) Finding {
	if err := p.info.CheckEviction(); err != nil {
		return unfit("", err)
	}
	if p.info["maxmemory_policy"] == "" {
		return Undecided("", "this Redis does not report its maxmemory-policy")
	}
	return Finding{Detail: p.info["maxmemory_policy"]}
}

func diagnosePersistence(db *redisdb.DB, p primary) Finding {
	const (
		log    = "read the log of Redis, and check that its disk is not full"
		unseen = ", so it is not known whether Redis saves snapshots; there is no append-only file and no replica"
	)
	switch i := p.info; {
	case i["aof_enabled"] == "1" && i["aof_last_write_status"] == "err":
		return Finding{Problem: "the last write to the append-only file failed", Fix: log}
	case i["aof_enabled"] == "1":
		return Finding{Detail: "append-only file"}
	case i["rdb_last_bgsave_status"] == "err":
		return Finding{Problem: "the last snapshot failed", Fix: log}
	case p.save == savesAtTimes || i["rdb_saves"] != "" && i["rdb_saves"] != "0":
		return Finding{Detail: "snapshots only; writes after the last snapshot are lost in a crash"}
	case i.Number("connected_slaves") > 0:
		return Finding{Detail: "none; the replicas have a copy"}
	case i["aof_enabled"] == "": // as from the Redis of a laptop, which ends with its process
		return Undecided("", "this Redis does not report whether it saves to disk")
	case p.save == savingUnknown:
		return Undecided("", "this Redis does not answer CONFIG GET"+unseen)
	case p.save == savingForbidden:
		user := db.User()
		return Undecided("", fmt.Sprintf("the Redis user %s is not allowed to run CONFIG GET%s (ACL SETUSER %s +config|get allows it; statusd does not need it)", user, unseen, user))
	}
	return Finding{
		Problem: "there is no append-only file, no snapshot and no replica: a restart loses every record",
		Fix:     "redis-cli -u $REDIS_URL CONFIG SET appendonly yes (and CONFIG REWRITE), or add a replica",
	}
}

func diagnoseReplicas(db *redisdb.DB, p primary) Finding {
	n, want := p.info.Number("connected_slaves"), db.ReplicaAcks
	if n < want {
		return Finding{
			Problem: fmt.Sprintf("REDIS_REPLICA_ACKS is %d but %d replicas are connected, so no write is ever confirmed", want, n),
			Fix:     "connect replicas, or set REDIS_REPLICA_ACKS=auto",
		}
	}
	if p.missed != nil {
		return unfit("", p.missed)
	}
	if n == 0 {
		return Finding{Detail: "none; the primary alone confirms writes"}
	}
	return Finding{Detail: fmt.Sprintf("%d connected", n)}
}

func diagnoseMemory(_ *redisdb.DB, p primary) Finding {
	used, most, limit := p.info.Number("used_memory"), p.info.Number("maxmemory"), "maxmemory"
	if most == 0 {
		most, limit = p.info.Number("total_system_memory"), "the machine's memory"
	}
	if most == 0 {
		return Finding{Detail: fmt.Sprintf("%d MiB used", used>>20)}
	}
	part := fmt.Sprintf("%d MiB used, %d %% of %s", used>>20, used*100/most, limit)
	if float64(used) > mostMemory*float64(most) {
		return Finding{Problem: part, Fix: "raise maxmemory (redis-cli -u $REDIS_URL CONFIG SET maxmemory, or a larger node), or lower RETENTION"}
	}
	return Finding{Detail: part}
}

func diagnoseClock(_ *redisdb.DB, p primary) Finding {
	if p.skew.Abs() > mostSkew {
		return Finding{
			Problem: fmt.Sprintf("the clocks of Redis and of this machine differ by %v", p.skew.Abs().Round(time.Millisecond)),
			Fix:     "timedatectl set-ntp true, on the machine whose clock is wrong",
		}
	}
	return Finding{Detail: fmt.Sprintf("%v apart", p.skew.Abs().Round(time.Millisecond))}
}
