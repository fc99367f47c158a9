package cache

import (
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

// LuaConstants are the constants by which a script reads a record. Lua counts from 1.
func LuaConstants() string {
	var b strings.Builder
	def := func(name string, value int) { fmt.Fprintf(&b, "local %s = %d\n", name, value) }
	span := func(name string, at, length int) {
		def(name, at+1)
		def(name+"_END", at+length)
	}
	fmt.Fprintf(&b, "local FORMAT, LABELED_FORMAT, OLDER_FORMAT = '%c', '%c', '%c'\n", recordFormat, labeledFormat, olderFormat)
	fmt.Fprintf(&b, "local OUTPUT_CHANGED = '%c'\n", outputChanged)
	def("HEAD", headLength)
	def("OLDER_HEAD", payloadLengthAt)
	def("LABELED_HEAD", labeledHead)
	span("IDENTITY", versionAt, versionLength+hashLength) // version and hash: what decides
	def("IDENTITY_LENGTH", versionLength+hashLength)
	span("OBSERVED", observedAt, timeLength)
	span("SEEN", seenAt, timeLength)
	span("EPOCH", epochAt, startLength)
	def("OWNER_RANK", rankOfOwnerAt+1)
	span("OWNER_LENGTH", ownerLengthAt, ownerDigits)
	span("TYPE_LENGTH", typeLengthAt, typeDigits)
	span("PAYLOAD_LENGTH", payloadLengthAt, payloadDigits)
	span("LABELS_LENGTH", headLength, labelsDigits)

	span("START", 0, startLength) // in an identity
	span("REDRIVE", redriveAt, redriveDigits)
	def("RANK", rankAt+1)
	def("COMPLETE", completeAt+1)
	def("HASH", versionLength+1)
	span("OUTPUT_FROM", versionLength, outputFromDigits)
	def("OUTPUT_STATE", versionLength+outputFromDigits+1)
	def("TRAIL_ENTRY", trailEntryLength)
	def("LABEL_HEAD", labelHeadLength)
	def("LABEL_NAME_DIGITS", labelNameDigits)
	def("MAX_LABELS", maxLabelsKept)
	return b.String()
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

func knownFormat(b byte) bool { return b == recordFormat || b == labeledFormat || b == olderFormat }

var errFormat = errors.New("record of a format this release does not know")

// length returns where the registers begin.
func (h recordHead) length() int {
	switch {
	case len(h) > 0 && h[0] == olderFormat:
		return payloadLengthAt
	case len(h) > 0 && h[0] == labeledFormat:
		return labeledHead
	}
	return headLength
}

func (h recordHead) version() Version    { return Version(h[versionAt:hashAt]) }
func (h recordHead) hash() string        { return string(h[hashAt:observedAt]) }
func (h recordHead) observed() time.Time { return redisdb.Time(string(h[observedAt:seenAt])) }
func (h recordHead) seen() time.Time     { return redisdb.Time(string(h[seenAt:epochAt])) }
func (h recordHead) epoch() string       { return string(h[epochAt:rankOfOwnerAt]) }
func (h recordHead) ownerRank() byte     { return h[rankOfOwnerAt] }
func (h recordHead) ownerless() bool     { return h[ownerLengthAt:typeLengthAt] == "000" }

// lengths are how long the parts behind a head are, in bytes.
type lengths struct{ owner, inputType, labels, payload int }

// lengths returns what the head says, which is known. The older format does not say how
// long the payload is.
func (h recordHead) lengths() (n lengths, err error) {
	read := func(digits recordHead) (n int) {
		if n, err1 := strconv.Atoi(string(digits)); err1 == nil && n >= 0 {
			return n
		}
		err = errors.New("a length is not a number")
		return 0
	}
	n.owner, n.inputType = read(h[ownerLengthAt:typeLengthAt]), read(h[typeLengthAt:payloadLengthAt])
	if h[0] != olderFormat {
		n.payload = read(h[payloadLengthAt:headLength])
	}
	if h[0] == labeledFormat {
		n.labels = read(h[headLength:labeledHead])
	}
	return n, err
}

// owner returns the owner, as far as that was read; empty if the head is damaged.
func (h recordHead) owner() string {
	if h.known() != nil {
		return ""
	}
	n, err := strconv.Atoi(string(h[ownerLengthAt:typeLengthAt]))
	if err != nil || n < 0 || len(h) < h.length()+n {
		return ""
	}
	return string(h[h.length() : h.length()+n])
}

// sameAs reports whether two heads hold the same state and the same registers. When they
// were observed does not matter. An owner that changes has another rank; labels that
// change are not noticed, unless they are the first.
func (h recordHead) sameAs(other recordHead) bool {
	return len(h) >= payloadLengthAt && len(other) >= payloadLengthAt && (h[0] == labeledFormat) == (other[0] == labeledFormat) &&
		h[versionAt:observedAt] == other[versionAt:observedAt] && h[rankOfOwnerAt:payloadLengthAt] == other[rankOfOwnerAt:payloadLengthAt]
}
