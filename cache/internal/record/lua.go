package record

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed record.lua
var source string

// Lua returns the constants and functions with which a script reads a record. Lua counts from 1.
func Lua() string {
	var b strings.Builder
	def := func(name string, value int) { fmt.Fprintf(&b, "local %s = %d\n", name, value) }
	span := func(name string, at, length int) {
		def(name, at+1)
		def(name+"_END", at+length)
	}
	fmt.Fprintf(&b, "local FORMAT, LABELED_FORMAT, OLDER_FORMAT, COMPACT_FORMAT = '%c', '%c', '%c', '%c'\n", Format, LabeledFormat, OlderFormat, CompactFormat)
	def("HEAD", HeadLength)
	def("OLDER_HEAD", PayloadLengthAt)
	def("LABELED_HEAD", LabeledHead)
	span("IDENTITY", versionAt, VersionLength+HashLength) // version and hash, which decide
	span("OBSERVED", observedAt, timeLength)
	span("SEEN", seenAt, timeLength)
	span("EPOCH", epochAt, StartLength)
	def("OWNER_RANK", rankOfOwnerAt+1)
	span("OWNER_LENGTH", ownerLengthAt, ownerDigits)
	span("TYPE_LENGTH", typeLengthAt, typeDigits)
	span("PAYLOAD_LENGTH", PayloadLengthAt, payloadDigits)
	span("LABELS_LENGTH", HeadLength, labelsDigits)

	def("COMPACT_HEAD", compactHead)
	span("COMPACT_IDENTITY", compactVersionAt, compactObservedAt-compactVersionAt)
	span("COMPACT_OBSERVED", compactObservedAt, CompactTimeLength)
	span("COMPACT_SEEN", compactSeenAt, CompactTimeLength)
	span("COMPACT_EPOCH", compactEpochAt, CompactTimeLength)
	def("COMPACT_OWNER_RANK", compactRankOfOwnerAt+1)
	span("COMPACT_LENGTHS", compactOwnerLengthAt, compactHead-compactOwnerLengthAt)

	span("DIGITS_START", 0, StartLength) // in an identity of a format of digits
	span("DIGITS_REDRIVES", redriveAt, RedriveDigits)
	def("DIGITS_RANK", RankAt+1)
	def("DIGITS_COMPLETE", CompleteAt+1)
	def("DIGITS_HASH", VersionLength+1)

	def("IDENTITY_LENGTH", CompactVersionLength+HashLength/2) // in an identity in bytes
	span("START", 0, CompactTimeLength)
	span("REDRIVES", CompactTimeLength, 3)
	def("STATE", CompactVersionLength)
	def("HASH", CompactVersionLength+1)
	def("OUTPUT_FROM", CompactVersionLength+1)
	def("OUTPUT_STATE", CompactVersionLength+OutputFromDigits/2+1)
	return b.String() + source
}
