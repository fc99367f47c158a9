package cache

import (
	"fmt"
	"strings"

	"statuscache/cache/internal/record"
)

// The parts of the layout of records that this package needs.
const (
	recordFormat  = record.Format
	olderFormat   = record.OlderFormat
	compactFormat = record.CompactFormat

	payloadLengthAt = record.PayloadLengthAt
	headLength      = record.HeadLength
	labeledHead     = record.LabeledHead
	headEnough      = record.Enough

	startLength   = record.StartLength
	redriveDigits = record.RedriveDigits
	rankAt        = record.RankAt
	completeAt    = record.CompleteAt
	versionLength = record.VersionLength
	hashLength    = record.HashLength

	compactVersionLength = record.CompactVersionLength
	compactTimeLength    = record.CompactTimeLength
)

type recordHead = record.Head

// Bounds of the registers, in bytes.
const (
	MaxOwnerLength     = 256
	MaxInputTypeLength = 32
)

// LuaConstants are the constants and functions by which a script reads a record.
func LuaConstants() string {
	var b strings.Builder
	def := func(name string, value int) { fmt.Fprintf(&b, "local %s = %d\n", name, value) }
	def("AWAITS_OUTPUT", stateCode(Succeeded, OutputAwaited)) // states
	def("GAVE_UP_OUTPUT", stateCode(Succeeded, OutputGivenUp))
	def("OUTPUT_CHANGED", stateCode(Succeeded, OutputRefetched))
	def("RUNS", stateCode(Running, Complete))
	def("TRAIL_ENTRY", trailEntryLength)
	def("SHORT_ENTRY", shortEntryLength)
	def("EVENT_ID", record.EventIDLength)
	fmt.Fprintf(&b, "local SHORT_APPLIED = '%c'\n", shortApplied)
	def("LABEL_HEAD", record.LabelHead)
	def("LABEL_NAME_DIGITS", record.LabelNameDigits)
	def("MAX_LABELS", maxLabelsKept)
	return record.Lua() + b.String()
}

// stateCode returns the last byte of a version in bytes.
func stateCode(status Status, c Completeness) int {
	return 10*(&Execution{Status: status}).rank() + int(c)
}
