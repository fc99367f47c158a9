package redisdb

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strconv"
)

// Names are the names of all keys and channels in Redis. {p} is the partition of an
// execution, 0 to 63. It is in braces because it is the hash tag: all keys of an
// execution and of its partition share a slot of Redis Cluster.
//
//	name                     type     holds
//	sc:{p}:execution:ARN     string   the record (cache/internal/record/layout.go)
//	sc:{p}:running           zset     ARN by start date in ms: executions that run
//	sc:{p}:recent            zset     ARN by start date in ms: the newest of the partition
//	sc:{p}:changed           channel  ARNs of executions whose records changed, a line each;
//	                                  on one node all partitions share sc:changed
//	sc:{p}:awaiting          zset     ARN by when to ask, in ms: outputs and owners that events left out
//	sc:{p}:doubted           zset     ARN by when to ask, in ms: executions that may have been missed
//	sc:{p}:outputs           zset     ARN by since when its output is kept, in ms: those that RETENTION_OUTPUT removes
//	sc:{p}:requested         zset     ARN by when to ask, in ms: expired outputs that callers want back
//	sc:{p}:late              list     observations that came too late, the newest last (trail.go)
//	sc:{p}:born              hash     id, beats: by which the loss of records is noticed (worklist/lossdetector.go)
//	sc:{p}:counts            hash     what was counted of the partition, by hour, and what runs (tally/doc.go)
//	sc:{p}:tally:H           string   starts and ends of executions in hour H since 1970 (tally/doc.go)
//	sc:{p}:failures:H        hash     failures in hour H, by their cause (tally/doc.go)
//	sc:{p}:ended             string   whether there is any sc:{p}:ended:X; nothing else
//	sc:{p}:ended:X           hash     what was counted and does not follow from a record; X is a hash of the ARN
//	sc:{p}:probe             string   whether writes are accepted; nothing else
//	sc:{p}:replica           hash     history, seen, looked: whether the primary has had a replica; in one
//	                                  partition of each primary (replicas.go)
//	sc:{owner:H}:executions  zset     ARN by start date in ms: the owner's newest; H is a hash of the owner
//	sc:{keys}:api            hash     HMAC of an API key -> Key as JSON
//	sc:{keys}:changed        channel  HMACs of API keys that changed, a line each; none: perhaps all
//	sc:{keys}:changes        string   how often API keys changed
//	sc:{keys}:pepper         string   fingerprint of the API_KEY_PEPPER with which they were created (apikeys/pepper.go)
//	sc:{requests:H}:outputs  zset     ARN by when its output was requested, in ms: by the caller whose name has hash H
//	sc:{quota:H}:spent       hash     day and spent, of the API key whose HMAC is H
//	sc:{counts}:machines     hash     the counters' short name of a state machine -> its ARN
//	sc:{formats}:older       string   when a release before the compact format last ran, in ms; 0: never
//	sc:{0}:formats           channel  nothing: its listeners know the compact format (cache/internal/formats)
//	sc:{audit}:sweeps        zset     ARN of a state machine by when to sweep it, in ms
//	sc:{audit}:machines      hash     ARN of a state machine -> Audited as JSON
//	sc:{audit}:doubts:M      hash     ARN -> until when no mismatch was known, in ms; of the state machine with ARN M
//	sc:{audit}:lost          hash     at, in ms, why, and the lost parts that are not restored yet (worklist/loss.go)
//	sc:{audit}:intake        hash     process -> what it reports about the queue, as JSON (cache/intake)
//	sc:{audit}:backfill:H    string   where a backfill continues; H is a hash of what it fills
//	sc:{budget:NAME}:spent   hash     when the next call to AWS may be made, and how fast (worklist/budget.lua)
//
// The zsets are hints: a reader checks the record, and ignores members without one. In
// running, recent and the index of an owner, an ARN may have its short form (package shortname).
type Names struct {
	Prefix     string
	Partitions [PartitionCount]Partition
	APIKeys    string
	KeyChanges string // channel
	KeyCount   string // of changes
	Pepper     string
	Sweeps     string
	Machines   string
	Lost       string
	Intake     string
	Counted    string // state machines
	OlderSeen  string
	Formats    string // channel
}

// Partition is the names of one partition of the executions.
type Partition struct {
	Executions string // to be followed by an ARN
	Running    string
	Recent     string
	Changed    string
	Awaiting   string
	Mismatched string
	Outputs    string
	Requested  string
	Late       string
	Born       string
	Counts     string
	Tallies    string // to be followed by an hour
	Failures   string // to be followed by an hour
	Probe      string
	Replica    string
}

// PartitionCount is the number of partitions. It must never change, because the keys of
// all records depend on it.
const PartitionCount = 64

func newNames(prefix string, m mode) *Names {
	n := &Names{
		Prefix: prefix, APIKeys: prefix + ":{keys}:api", KeyChanges: prefix + ":{keys}:changed", KeyCount: prefix + ":{keys}:changes", Pepper: prefix + ":{keys}:pepper",
		Sweeps: prefix + ":{audit}:sweeps", Machines: prefix + ":{audit}:machines", Lost: prefix + ":{audit}:lost", Intake: prefix + ":{audit}:intake", Counted: prefix + ":{counts}:machines",
		OlderSeen: prefix + ":{formats}:older", Formats: prefix + ":{0}:formats",
	}
	for i := range n.Partitions {
		tag := prefix + ":{" + strconv.Itoa(i) + "}:"
		n.Partitions[i] = Partition{
			Executions: tag + "execution:",
			Running:    tag + "running",
			Recent:     tag + "recent",
			Changed:    tag + "changed",
			Awaiting:   tag + "awaiting",
			Mismatched: tag + "doubted",
			Outputs:    tag + "outputs",
			Requested:  tag + "requested",
			Late:       tag + "late",
			Born:       tag + "born",
			Counts:     tag + "counts",
			Tallies:    tag + "tally:",
			Failures:   tag + "failures:",
			Probe:      tag + "probe",
			Replica:    tag + "replica",
		}
		if m != cluster {
			n.Partitions[i].Changed = prefix + ":changed"
		}
	}
	return n
}

// Partition returns the names of the partition that an execution is in.
func (n *Names) Partition(arn string) *Partition {
	return &n.Partitions[crc32.ChecksumIEEE([]byte(arn))%PartitionCount]
}

// Execution returns the key of the record of an execution.
func (n *Names) Execution(arn string) string { return n.Partition(arn).Executions + arn }

// Owner returns the key of the index of an owner's executions.
func (n *Names) Owner(owner string) string {
	return n.Prefix + ":{owner:" + hashOf(owner) + "}:executions"
}

// RequestedBy returns the key of the recent requests of a caller.
func (n *Names) RequestedBy(caller string) string {
	return n.Prefix + ":{requests:" + hashOf(caller) + "}:outputs"
}

// hashOf returns a hash of a name, which may contain any character, including braces.
func hashOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// Mismatches returns the key of the mismatches that the audit of a state machine found.
func (n *Names) Mismatches(machine string) string { return n.Prefix + ":{audit}:doubts:" + machine }

// Backfill returns the key of the checkpoint of a backfill.
func (n *Names) Backfill(hash string) string { return n.Prefix + ":{audit}:backfill:" + hash }

// Budget returns the key of a budget of calls to AWS.
func (n *Names) Budget(name string) string { return n.Prefix + ":{budget:" + name + "}:spent" }

// Quota returns the key of the spent part of an API key's daily limit.
func (n *Names) Quota(keyHash string) string { return n.Prefix + ":{quota:" + keyHash + "}:spent" }

// Channels returns every channel that the change feed listens to.
func (n *Names) Channels() []string {
	all := make([]string, 0, PartitionCount+2)
	all = append(all, n.Formats) // first: a process that subscribes to changes knows the formats
	for i := range n.Partitions {
		all = append(all, n.Partitions[i].Changed)
	}
	return append(slices.Compact(all), n.KeyChanges)
}
