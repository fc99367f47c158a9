package tally

import (
	"crypto/sha1"
	"encoding/binary"
	"math"
	"time"
)

// Lengths in bytes.
const (
	MachineLength = 6
	HourDigits    = 6
	HeaderLength  = 6
	FoldedLength  = MachineLength + 2 + 4
	EntryLength   = MachineLength + 2 + 1
)

// KeptHours is for how many hours the counters of an hour are kept.
const KeptHours = 7 * 24

// Values of entries that are not buckets.
const (
	Started = math.MaxUint16
	Failed  = math.MaxUint16 - 1
)

// Machine identifies a state machine in the counters.
type Machine [MachineLength]byte

// MachineOf returns the identifier of the state machine of an ARN.
func MachineOf(stateMachine string) (m Machine) {
	sum := sha1.Sum([]byte(stateMachine)) // which Lua has too
	copy(m[:], sum[:])
	return m
}

// Hour returns the hour that t is in, counted from 1970.
func Hour(t time.Time) int64 { return t.UnixMilli() / time.Hour.Milliseconds() }

// HourStart returns the beginning of an hour.
func HourStart(hour int64) time.Time {
	return time.UnixMilli(hour * time.Hour.Milliseconds()).UTC()
}

// AppendEvent appends the script's argument for a start or an end at t: hour and entry.
func AppendEvent(b []byte, m Machine, value uint16, t time.Time) []byte {
	ms := t.UnixMilli()
	hour := ms / time.Hour.Milliseconds()
	if ms < 0 || hour > 999_999 {
		hour = 0 // too old to be counted
	}
	b = appendDigits(b, hour, HourDigits)
	b = binary.BigEndian.AppendUint16(append(b, m[:]...), value)
	return append(b, byte(ms/time.Minute.Milliseconds()%60))
}

// Entry is one entry of a tally, or several that were folded.
type Entry struct {
	Machine Machine
	Value   uint16
	Minute  int // of the hour; -1: no longer known
	Count   uint32
}

// ReadHeader reads the header of a tally; ok is false if text is too short.
func ReadHeader(text string) (generation uint16, folded int, ok bool) {
	if len(text) < HeaderLength {
		return 0, 0, false
	}
	b := []byte(text[:HeaderLength])
	return binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint32(b[2:])), true
}

// EachFolded calls f with every folded entry that text holds.
func EachFolded(text string, f func(Entry)) {
	for ; len(text) >= FoldedLength; text = text[FoldedLength:] {
		e := entry(text)
		e.Minute, e.Count = -1, uint32(text[8])<<24|uint32(text[9])<<16|uint32(text[10])<<8|uint32(text[11])
		f(e)
	}
}

// EachEntry calls f with every entry that text holds.
func EachEntry(text string, f func(Entry)) {
	for ; len(text) >= EntryLength; text = text[EntryLength:] {
		e := entry(text)
		e.Minute, e.Count = int(text[EntryLength-1]), 1
		f(e)
	}
}

func entry(text string) (e Entry) {
	copy(e.Machine[:], text)
	e.Value = uint16(text[MachineLength])<<8 | uint16(text[MachineLength+1])
	return e
}
