package record

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// AppendDigits appends n with the given number of digits.
func AppendDigits(b []byte, n int64, digits int) []byte {
	first := len(b)
	b = append(b, "00000000000000"[:digits]...)
	for i := first + digits - 1; i >= first && n != 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// AppendTime appends a time in ms as 6 bytes.
func AppendTime(b []byte, ms int64) []byte {
	return append(b, byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms))
}

// ReadMillis reads a time of 6 bytes as ms.
func ReadMillis(b string) (ms int64) {
	for i := range 6 {
		ms = ms<<8 | int64(b[i])
	}
	return ms
}

// ReadTime reads a time in ms, the zero time for 0.
func ReadTime(b string) time.Time {
	ms := ReadMillis(b)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// AppendVersion appends a version as 10 bytes.
func AppendVersion(b []byte, v Version) []byte {
	b = AppendTime(b, v.StartDate().UnixMilli())
	redrives := uint32(v.RedriveCount())
	return append(b, byte(redrives>>16), byte(redrives>>8), byte(redrives), (v[RankAt]-'0')*10+v[CompleteAt]-'0')
}

// ReadVersion reads a version.
func ReadVersion(b string) Version { return Version(appendVersion(make([]byte, 0, VersionLength), b)) }

// appendVersion appends the text of the version that s has as 10 bytes.
func appendVersion(b []byte, s string) []byte {
	b = AppendDigits(b, ReadMillis(s), StartLength)
	b = AppendDigits(append(b, '-'), int64(s[6])<<16|int64(s[7])<<8|int64(s[8]), RedriveDigits)
	return append(b, '-', '0'+s[9]/10, '-', '0'+s[9]%10)
}

// EventIDLength is the length of an event ID in bytes.
const EventIDLength = 16

// AppendEventID appends an event ID as 16 bytes, zeros if it is not a UUID.
func AppendEventID(b []byte, id string) []byte {
	n := len(b)
	b = append(b, make([]byte, EventIDLength)...)
	text := strings.ReplaceAll(id, "-", "")
	if len(text) != 2*EventIDLength { // AWS sends UUIDs
		return b
	}
	if _, err := hex.Decode(b[n:], []byte(text)); err != nil {
		clear(b[n:])
	}
	return b
}

// ReadEventID reads the ID of an event, empty if there is none.
func ReadEventID(b string) string {
	id := b[:EventIDLength]
	if strings.Trim(id, "\x00") == "" {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
