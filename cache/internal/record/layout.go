package record

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"statuscache/cache/internal/redisdb"
)

// The positions in a record. Scripts receive the same numbers (Lua), and no other code
// has byte positions. A record begins with a head of fixed widths, with decimal digits
// except for the hash, which is hexadecimal:
//
//	format 1 | version 24 | hash of the body 16 | observed at 13 | first seen 13 | epoch 14 |
//	owner rank 1 | owner length 3 | input type length 2 | payload length 7
//
// After it come owner, input type, payload (package cache) and trail. Times are ms since
// 1970. A record with labels has a separate format: the head ends with their length, 4
// digits, and the labels come before the payload. So releases that do not know labels can
// read all records without labels. In the older format the head has no payload length, the
// payload goes to the end, and there is no trail. A release does not read formats of newer
// releases.
//
// The epoch is the start date that distinguishes the incarnations of a reused name:
// incarnations that start more than a day apart have separate registers (owner, input
// type, first seen).
const (
	Format        = '2'
	LabeledFormat = '3'
	OlderFormat   = '1'
	CompactFormat = '4'

	versionAt       = 1
	HashAt          = versionAt + VersionLength
	observedAt      = HashAt + HashLength
	seenAt          = observedAt + timeLength
	epochAt         = seenAt + timeLength
	rankOfOwnerAt   = epochAt + StartLength
	ownerLengthAt   = rankOfOwnerAt + 1
	typeLengthAt    = ownerLengthAt + ownerDigits
	PayloadLengthAt = typeLengthAt + typeDigits // the older head ends here
	HeadLength      = PayloadLengthAt + payloadDigits
	LabeledHead     = HeadLength + labelsDigits

	HashLength    = 16 // of a body hash
	timeLength    = 13 // of a time in ms
	ownerDigits   = 3
	typeDigits    = 2
	payloadDigits = 7
	labelsDigits  = 4
)

// The head of the compact format.
const (
	compactVersionAt       = 1
	compactHashAt          = compactVersionAt + CompactVersionLength
	compactObservedAt      = compactHashAt + HashLength/2
	compactSeenAt          = compactObservedAt + CompactTimeLength
	compactEpochAt         = compactSeenAt + CompactTimeLength
	compactRankOfOwnerAt   = compactEpochAt + CompactTimeLength
	compactOwnerLengthAt   = compactRankOfOwnerAt + 1
	compactTypeLengthAt    = compactOwnerLengthAt + 2
	compactLabelsLengthAt  = compactTypeLengthAt + 1
	compactPayloadLengthAt = compactLabelsLengthAt + 2
	compactHead            = compactPayloadLengthAt + 3

	CompactVersionLength = CompactTimeLength + 3 + 1 // start, redrives, 10 * rank + completeness
	CompactTimeLength    = 6

	RegistersLength = compactPayloadLengthAt - compactOwnerLengthAt // of their lengths
	PayloadLength   = compactHead - compactPayloadLengthAt          // of its length
)

// Enough is how many bytes contain, in every format, all fields of a head, except for the
// lengths of payload and labels in the formats of digits.
const Enough = PayloadLengthAt

// Head is the part of a record's beginning that was read.
type Head string

// Known returns nil if the head is complete and this release can read it.
func (h Head) Known() error {
	switch {
	case len(h) == 0 || len(h) < h.Length():
		return fmt.Errorf("record of %d bytes is too short", len(h))
	case !knownFormat(h[0]):
		return errFormat
	}
	return nil
}

func knownFormat(b byte) bool {
	return b == Format || b == LabeledFormat || b == OlderFormat || b == CompactFormat
}

var errFormat = errors.New("record of a format this release does not know")

// Length returns where the registers begin.
func (h Head) Length() int {
	if h == "" {
		return HeadLength
	}
	switch h[0] {
	case OlderFormat:
		return PayloadLengthAt
	case LabeledFormat:
		return LabeledHead
	case CompactFormat:
		return compactHead
	}
	return HeadLength
}

// Compact reports whether the record is of the compact format.
func (h Head) Compact() bool { return len(h) > 0 && h[0] == CompactFormat }

// Enough reports whether the head is complete except for the fields that the constant Enough
// leaves out.
func (h Head) Enough() bool {
	return len(h) >= Enough || h.Compact() && len(h) >= compactHead
}

// HasVersion reports whether the head has the version, in a format that this release can read.
func (h Head) HasVersion() bool {
	if h.Compact() {
		return len(h) >= compactHashAt
	}
	return len(h) >= HashAt && knownFormat(h[0])
}

// Version returns the version of the state that the record has.
func (h Head) Version() Version {
	if h.Compact() {
		return ReadVersion(string(h[compactVersionAt:compactHashAt]))
	}
	return Version(h[versionAt:HashAt])
}

// Identity returns the version of the state and the hash of the payload, 16 hex digits.
func (h Head) Identity() (Version, string) {
	if !h.Compact() {
		return h.Version(), h.Hash()
	}
	b := appendVersion(make([]byte, 0, VersionLength+HashLength), string(h[compactVersionAt:compactHashAt]))
	text := string(hex.AppendEncode(b, []byte(h[compactHashAt:compactObservedAt]))) // one allocation for both
	return Version(text[:VersionLength]), text[VersionLength:]
}

// StartDate returns the start date in the version.
func (h Head) StartDate() time.Time {
	if h.Compact() {
		return time.UnixMilli(ReadMillis(string(h[compactVersionAt:])))
	}
	return h.Version().StartDate()
}

// Hash returns the hash of the payload, 16 hex digits.
func (h Head) Hash() string {
	if h.Compact() {
		var text [HashLength]byte
		hex.Encode(text[:], []byte(h[compactHashAt:compactObservedAt]))
		return string(text[:])
	}
	return string(h[HashAt:observedAt])
}

// Observed returns when the state was observed at its source.
func (h Head) Observed() time.Time {
	if h.Compact() {
		return ReadTime(string(h[compactObservedAt:]))
	}
	return redisdb.Time(string(h[observedAt:seenAt]))
}

// Seen returns when the execution was first seen.
func (h Head) Seen() time.Time {
	if h.Compact() {
		return ReadTime(string(h[compactSeenAt:]))
	}
	return redisdb.Time(string(h[seenAt:epochAt]))
}

// Epoch returns the start date that distinguishes the incarnations of a name, in ms as digits.
func (h Head) Epoch() string {
	if h.Compact() {
		return string(AppendDigits(nil, ReadMillis(string(h[compactEpochAt:])), StartLength))
	}
	return string(h[epochAt:rankOfOwnerAt])
}

// OwnerRank returns how much the source of the owner counts, a digit.
func (h Head) OwnerRank() byte {
	if h.Compact() {
		return h[compactRankOfOwnerAt]
	}
	return h[rankOfOwnerAt]
}

// Ownerless reports whether no owner is known.
func (h Head) Ownerless() bool {
	n, err := h.Lengths()
	return err == nil && n.Owner == 0
}

// Lengths has the lengths of the parts after a head, in bytes.
type Lengths struct{ Owner, InputType, Labels, Payload int }

// Lengths returns the lengths in the head, for which Known or Enough must hold. The older
// format does not have the length of the payload.
func (h Head) Lengths() (n Lengths, err error) {
	if h.Compact() {
		number := func(b Head) (n int) {
			for i := range len(b) {
				n = n<<8 | int(b[i])
			}
			return n
		}
		return Lengths{
			Owner: number(h[compactOwnerLengthAt:compactTypeLengthAt]), InputType: number(h[compactTypeLengthAt:compactLabelsLengthAt]),
			Labels: number(h[compactLabelsLengthAt:compactPayloadLengthAt]), Payload: number(h[compactPayloadLengthAt:compactHead]),
		}, nil
	}
	read := func(digits Head) (n int) {
		if n, err1 := strconv.Atoi(string(digits)); err1 == nil && n >= 0 {
			return n
		}
		err = errors.New("a length is not a number")
		return 0
	}
	n.Owner, n.InputType = read(h[ownerLengthAt:typeLengthAt]), read(h[typeLengthAt:PayloadLengthAt])
	if h[0] != OlderFormat && len(h) >= HeadLength {
		n.Payload = read(h[PayloadLengthAt:HeadLength])
	}
	if h[0] == LabeledFormat && len(h) >= LabeledHead {
		n.Labels = read(h[HeadLength:LabeledHead])
	}
	return n, err
}

// Owner returns the part of the owner that was read; empty if the head is damaged.
func (h Head) Owner() string {
	if h.Known() != nil {
		return ""
	}
	n, err := h.Lengths()
	if err != nil || len(h) < h.Length()+n.Owner {
		return ""
	}
	return string(h[h.Length() : h.Length()+n.Owner])
}

// SameAs reports whether two heads have the same state and the same registers. The times of
// observation and the formats do not matter. A changed owner has another rank; changed
// labels are not noticed, unless they are the first ones.
func (h Head) SameAs(other Head) bool {
	if !h.Enough() || !other.Enough() {
		return false
	}
	a, err1 := h.Lengths()
	b, err2 := other.Lengths()
	return err1 == nil && err2 == nil && h.Labeled() == other.Labeled() && h.Version() == other.Version() && h.Hash() == other.Hash() &&
		h.OwnerRank() == other.OwnerRank() && a.Owner == b.Owner && a.InputType == b.InputType
}

// Labeled reports whether there are labels.
func (h Head) Labeled() bool {
	if h.Compact() {
		return h[compactLabelsLengthAt] != 0 || h[compactLabelsLengthAt+1] != 0
	}
	return h[0] == LabeledFormat
}

// PublicVersion returns the version that the API reports for a record of a version and hash.
func PublicVersion(v Version, hash string) Version {
	if v.HasOutputState() {
		return v + "-" + Version(hash[:OutputStateLength])
	}
	return v.Public()
}
