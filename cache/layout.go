package cache

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"statuscache/cache/internal/redisdb"
)

// Where things stand in a record. apply.lua is given the same numbers (LuaConstants), and
// nothing else counts bytes. A record begins with a head of fixed widths, all of it
// decimal digits but the hash, which is hexadecimal:
//
//	format 1 | version 24 | hash of the body 16 | observed at 13 | first seen 13 | epoch 14 |
//	owner rank 1 | owner length 3 | input type length 2 | payload length 7
//
// Behind it come owner, input type, payload (codec.go) and trail (trail.go). Times are ms
// since 1970. A record with labels has a format of its own: the head ends in their length,
// 4 digits, and they stand in front of the payload (labels.go). So releases that do not know
// labels read all records without. In the older format the head has no payload length, the
// payload goes to the end, and there is no trail. A release refuses to guess what a newer one
// has written.
//
// The epoch is the start date by which the incarnations of a name that is used again are
// distinguished: those that start more than a day apart have registers (owner, input type,
// first seen) of their own.
const (
	recordFormat  = '2'
	labeledFormat = '3'
	olderFormat   = '1'
	compactFormat = '4'

	versionAt       = 1
	hashAt          = versionAt + versionLength
	observedAt      = hashAt + hashLength
	seenAt          = observedAt + timeLength
	epochAt         = seenAt + timeLength
	rankOfOwnerAt   = epochAt + startLength
	ownerLengthAt   = rankOfOwnerAt + 1
	typeLengthAt    = ownerLengthAt + ownerDigits
	payloadLengthAt = typeLengthAt + typeDigits // the older head ends here
	headLength      = payloadLengthAt + payloadDigits
	labeledHead     = headLength + labelsDigits

	hashLength    = 16 // of a body hash
	timeLength    = 13 // of a time in ms
	ownerDigits   = 3
	typeDigits    = 2
	payloadDigits = 7
	labelsDigits  = 4
)

// The head of the compact format.
const (
	compactVersionAt       = 1
	compactHashAt          = compactVersionAt + compactVersionLength
	compactObservedAt      = compactHashAt + hashLength/2
	compactSeenAt          = compactObservedAt + compactTimeLength
	compactEpochAt         = compactSeenAt + compactTimeLength
	compactRankOfOwnerAt   = compactEpochAt + compactTimeLength
	compactOwnerLengthAt   = compactRankOfOwnerAt + 1
	compactTypeLengthAt    = compactOwnerLengthAt + 2
	compactLabelsLengthAt  = compactTypeLengthAt + 1
	compactPayloadLengthAt = compactLabelsLengthAt + 2
	compactHead            = compactPayloadLengthAt + 3

	compactVersionLength = compactTimeLength + 3 + 1 // start, redrives, 10 * rank + completeness
	compactTimeLength    = 6

	registersLength = compactPayloadLengthAt - compactOwnerLengthAt // of their lengths
)

// Of every format, this many bytes say all that is in a head, except for the lengths of
// payload and labels in the formats of digits.
const headEnough = payloadLengthAt

// What a version consists of (execution.go), and where it stands in it.
const (
	startLength   = 14
	redriveAt     = startLength + 1
	redriveDigits = 5
	rankAt        = redriveAt + redriveDigits + 1
	completeAt    = rankAt + 2
	versionLength = completeAt + 1
)

// Bounds of the registers, in bytes.
const (
	MaxOwnerLength     = 256
	MaxInputTypeLength = 32
)

//go:embed record.lua
var recordSource string

// LuaConstants are the constants and functions by which a script reads a record. Lua counts
// from 1.
func LuaConstants() string {
	var b strings.Builder
	def := func(name string, value int) { fmt.Fprintf(&b, "local %s = %d\n", name, value) }
	span := func(name string, at, length int) {
		def(name, at+1)
		def(name+"_END", at+length)
	}
	fmt.Fprintf(&b, "local FORMAT, LABELED_FORMAT, OLDER_FORMAT, COMPACT_FORMAT = '%c', '%c', '%c', '%c'\n", recordFormat, labeledFormat, olderFormat, compactFormat)
	def("HEAD", headLength)
	def("OLDER_HEAD", payloadLengthAt)
	def("LABELED_HEAD", labeledHead)
	span("IDENTITY", versionAt, versionLength+hashLength) // version and hash: what decides
	span("OBSERVED", observedAt, timeLength)
	span("SEEN", seenAt, timeLength)
	span("EPOCH", epochAt, startLength)
	def("OWNER_RANK", rankOfOwnerAt+1)
	span("OWNER_LENGTH", ownerLengthAt, ownerDigits)
	span("TYPE_LENGTH", typeLengthAt, typeDigits)
	span("PAYLOAD_LENGTH", payloadLengthAt, payloadDigits)
	span("LABELS_LENGTH", headLength, labelsDigits)

	def("COMPACT_HEAD", compactHead)
	span("COMPACT_IDENTITY", compactVersionAt, compactObservedAt-compactVersionAt)
	span("COMPACT_OBSERVED", compactObservedAt, compactTimeLength)
	span("COMPACT_SEEN", compactSeenAt, compactTimeLength)
	span("COMPACT_EPOCH", compactEpochAt, compactTimeLength)
	def("COMPACT_OWNER_RANK", compactRankOfOwnerAt+1)
	span("COMPACT_LENGTHS", compactOwnerLengthAt, compactHead-compactOwnerLengthAt)

	span("DIGITS_START", 0, startLength) // in an identity of a format of digits
	span("DIGITS_REDRIVES", redriveAt, redriveDigits)
	def("DIGITS_RANK", rankAt+1)
	def("DIGITS_COMPLETE", completeAt+1)
	def("DIGITS_HASH", versionLength+1)

	def("IDENTITY_LENGTH", compactVersionLength+hashLength/2) // in an identity in bytes
	span("START", 0, compactTimeLength)
	span("REDRIVES", compactTimeLength, 3)
	def("STATE", compactVersionLength)
	def("HASH", compactVersionLength+1)
	def("OUTPUT_FROM", compactVersionLength+1)
	def("OUTPUT_STATE", compactVersionLength+outputFromDigits/2+1)
	def("AWAITS_OUTPUT", stateCode(Succeeded, OutputAwaited)) // states
	def("GAVE_UP_OUTPUT", stateCode(Succeeded, OutputGivenUp))
	def("OUTPUT_CHANGED", stateCode(Succeeded, OutputRefetched))
	def("RUNS", stateCode(Running, Complete))

	def("TRAIL_ENTRY", trailEntryLength)
	def("SHORT_ENTRY", shortEntryLength)
	def("SHORT_GIVEN", shortGivenLength)
	def("EVENT_ID", eventIDLength)
	fmt.Fprintf(&b, "local SHORT_APPLIED = '%c'\n", shortApplied)
	def("LABEL_HEAD", labelHeadLength)
	def("LABEL_NAME_DIGITS", labelNameDigits)
	def("MAX_LABELS", maxLabelsKept)
	return b.String() + recordSource
}

// stateCode returns the last byte of a version in bytes.
func stateCode(status Status, c Completeness) int {
	return 10*(&Execution{Status: status}).rank() + int(c)
}

// recordHead is the beginning of a record, as much as was read of it.
type recordHead string

// known reports whether the head is there as a whole and this release reads it.
func (h recordHead) known() error {
	switch {
	case len(h) == 0 || len(h) < h.length():
		return fmt.Errorf("record of %d bytes is too short", len(h))
	case !knownFormat(h[0]):
		return errFormat
	}
	return nil
}

func knownFormat(b byte) bool {
	return b == recordFormat || b == labeledFormat || b == olderFormat || b == compactFormat
}

var errFormat = errors.New("record of a format this release does not know")

// length returns where the registers begin.
func (h recordHead) length() int {
	if h == "" {
		return headLength
	}
	switch h[0] {
	case olderFormat:
		return payloadLengthAt
	case labeledFormat:
		return labeledHead
	case compactFormat:
		return compactHead
	}
	return headLength
}

func (h recordHead) compact() bool { return len(h) > 0 && h[0] == compactFormat }

// enough reports whether the head is there but for what headEnough leaves out.
func (h recordHead) enough() bool {
	return len(h) >= headEnough || h.compact() && len(h) >= compactHead
}

// hasVersion reports whether the version is there, of a format that this release reads.
func (h recordHead) hasVersion() bool {
	if h.compact() {
		return len(h) >= compactHashAt
	}
	return len(h) >= hashAt && knownFormat(h[0])
}

func (h recordHead) version() Version {
	if h.compact() {
		return readVersion(string(h[compactVersionAt:compactHashAt]))
	}
	return Version(h[versionAt:hashAt])
}

func (h recordHead) hash() string {
	if h.compact() {
		return hex.EncodeToString([]byte(h[compactHashAt:compactObservedAt]))
	}
	return string(h[hashAt:observedAt])
}

func (h recordHead) observed() time.Time {
	if h.compact() {
		return readTime(string(h[compactObservedAt:]))
	}
	return redisdb.Time(string(h[observedAt:seenAt]))
}

func (h recordHead) seen() time.Time {
	if h.compact() {
		return readTime(string(h[compactSeenAt:]))
	}
	return redisdb.Time(string(h[seenAt:epochAt]))
}

func (h recordHead) epoch() string {
	if h.compact() {
		return string(appendDigits(nil, readMillis(string(h[compactEpochAt:])), startLength))
	}
	return string(h[epochAt:rankOfOwnerAt])
}

func (h recordHead) ownerRank() byte {
	if h.compact() {
		return h[compactRankOfOwnerAt]
	}
	return h[rankOfOwnerAt]
}

func (h recordHead) ownerless() bool {
	n, err := h.lengths()
	return err == nil && n.owner == 0
}

// lengths are how long the parts behind a head are, in bytes.
type lengths struct{ owner, inputType, labels, payload int }

// lengths returns what the head says, which is known, or what enough of it says. The older
// format does not say how long the payload is.
func (h recordHead) lengths() (n lengths, err error) {
	if h.compact() {
		number := func(b recordHead) (n int) {
			for i := range len(b) {
				n = n<<8 | int(b[i])
			}
			return n
		}
		return lengths{
			owner: number(h[compactOwnerLengthAt:compactTypeLengthAt]), inputType: number(h[compactTypeLengthAt:compactLabelsLengthAt]),
			labels: number(h[compactLabelsLengthAt:compactPayloadLengthAt]), payload: number(h[compactPayloadLengthAt:compactHead]),
		}, nil
	}
	read := func(digits recordHead) (n int) {
		if n, err1 := strconv.Atoi(string(digits)); err1 == nil && n >= 0 {
			return n
		}
		err = errors.New("a length is not a number")
		return 0
	}
	n.owner, n.inputType = read(h[ownerLengthAt:typeLengthAt]), read(h[typeLengthAt:payloadLengthAt])
	if h[0] != olderFormat && len(h) >= headLength {
		n.payload = read(h[payloadLengthAt:headLength])
	}
	if h[0] == labeledFormat && len(h) >= labeledHead {
		n.labels = read(h[headLength:labeledHead])
	}
	return n, err
}

// owner returns the owner, as far as that was read; empty if the head is damaged.
func (h recordHead) owner() string {
	if h.known() != nil {
		return ""
	}
	n, err := h.lengths()
	if err != nil || len(h) < h.length()+n.owner {
		return ""
	}
	return string(h[h.length() : h.length()+n.owner])
}

// sameAs reports whether two heads hold the same state and the same registers. When they
// were observed does not matter, nor their formats. An owner that changes has another rank;
// labels that change are not noticed, unless they are the first.
func (h recordHead) sameAs(other recordHead) bool {
	if !h.enough() || !other.enough() {
		return false
	}
	a, err1 := h.lengths()
	b, err2 := other.lengths()
	return err1 == nil && err2 == nil && h.labeled() == other.labeled() && h.version() == other.version() && h.hash() == other.hash() &&
		h.ownerRank() == other.ownerRank() && a.owner == b.owner && a.inputType == b.inputType
}

// labeled reports whether there are labels.
func (h recordHead) labeled() bool {
	if h.compact() {
		return h[compactLabelsLengthAt] != 0 || h[compactLabelsLengthAt+1] != 0
	}
	return h[0] == labeledFormat
}
