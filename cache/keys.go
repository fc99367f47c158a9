package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strconv"
)

// Every name that the service uses in Redis. {p} is the partition of an
// execution, 0 to 63, in braces because it is the hash tag: what belongs to one
// execution and to its partition shares a slot of Redis Cluster.
//
//	name                     type     holds
//	sc:{p}:execution:ARN     string   the record (codec.go)
//	sc:{p}:running           zset     ARN by start date in ms: executions that run
//	sc:{p}:recent            zset     ARN by start date in ms: the newest of the partition
//	sc:{p}:changed           channel  ARNs of executions whose records changed, a line each;
//	                                  on one node all partitions share sc:changed
//	sc:{p}:awaiting          zset     ARN by when to ask, in ms: outputs and owners that events left out
//	sc:{p}:doubted           zset     ARN by when to ask, in ms: executions that may have been missed
//	sc:{p}:late              list     observations that came too late, the newest last (trail.go)
//	sc:{p}:born              hash     id, beats: by which the loss of records is noticed (lifeline.go)
//	sc:{p}:probe             string   whether writes are taken; nothing else
//	sc:{p}:replica           hash     history, seen, looked: whether the primary has had a replica; in one
//	                                  partition of each primary (primaries_replicas.go)
//	sc:{owner:H}:executions  zset     ARN by start date in ms: the owner's newest; H is a hash of the owner
//	sc:{keys}:api            hash     HMAC of an API key -> Key as JSON
//	sc:{keys}:changed        channel  HMACs of API keys that changed, a line each; none: perhaps all
//	sc:{keys}:changes        string   how often API keys changed
//	sc:{quota:H}:spent       hash     day and spent, of the API key whose HMAC is H
//	sc:{audit}:sweeps        zset     ARN of a state machine by when to sweep it, in ms
//	sc:{audit}:machines      hash     ARN of a state machine -> Audited as JSON
//	sc:{audit}:doubts:M      hash     ARN -> until when it was not in doubt, in ms; of the state machine with ARN M
//	sc:{audit}:lost          hash     at, in ms, why, and which parts of what was lost are not back (loss.go)
//	sc:{audit}:backfill:H    string   where a backfill goes on; H is a hash of what it fills
//	sc:{budget:NAME}:spent   hash     when the next call to AWS may be made, and for how long none
//
// The zsets are hints: a reader checks the record and drops what is not there.
type names struct {
	prefix     string
	partitions [partitionCount]partitionNames
	apiKeys    string
	keyChanges string // channel
	keyCount   string // of changes
	sweeps     string
	machines   string
	lost       string
}

type partitionNames struct {
	executions string // to be followed by an ARN
	running    string
	recent     string
	changed    string
	awaiting   string
	doubted    string
	late       string
	born       string
	probe      string
	replica    string
}

const partitionCount = 64

// Sizes of the indexes.
const (
	ownerIndexSize  = 1000 // newest executions of one owner
	recentIndexSize = 1000 // newest executions of one partition
)

func newNames(prefix string, m mode) *names {
	n := &names{
		prefix: prefix, apiKeys: prefix + ":{keys}:api", keyChanges: prefix + ":{keys}:changed", keyCount: prefix + ":{keys}:changes",
		sweeps: prefix + ":{audit}:sweeps", machines: prefix + ":{audit}:machines", lost: prefix + ":{audit}:lost",
	}
	for i := range n.partitions {
		tag := prefix + ":{" + strconv.Itoa(i) + "}:"
		n.partitions[i] = partitionNames{
			executions: tag + "execution:",
			running:    tag + "running",
			recent:     tag + "recent",
			changed:    tag + "changed",
			awaiting:   tag + "awaiting",
			doubted:    tag + "doubted",
			late:       tag + "late",
			born:       tag + "born",
			probe:      tag + "probe",
			replica:    tag + "replica",
		}
		if m != cluster {
			n.partitions[i].changed = prefix + ":changed"
		}
	}
	return n
}

func (n *names) partition(arn ARN) *partitionNames {
	return &n.partitions[crc32.ChecksumIEEE([]byte(arn))%partitionCount]
}

func (n *names) execution(arn ARN) string { return n.partition(arn).executions + string(arn) }

func (n *names) owner(owner string) string {
	sum := sha256.Sum256([]byte(owner)) // an owner may hold any character, braces too
	return n.prefix + ":{owner:" + hex.EncodeToString(sum[:16]) + "}:executions"
}

func (n *names) doubts(machine string) string { return n.prefix + ":{audit}:doubts:" + machine }

func (n *names) backfill(hash string) string { return n.prefix + ":{audit}:backfill:" + hash }

func (n *names) budget(name string) string { return n.prefix + ":{budget:" + name + "}:spent" }

func (n *names) quota(keyHash string) string { return n.prefix + ":{quota:" + keyHash + "}:spent" }

// channels returns every channel that the change feed listens to.
func (n *names) channels() []string {
	all := make([]string, 0, partitionCount+1)
	for i := range n.partitions {
		all = append(all, n.partitions[i].changed)
	}
	return append(slices.Compact(all), n.keyChanges)
}
