package cache

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"statuscache/cache/internal/compression"
)

var storedTime = time.Date(2026, 2, 10, 12, 30, 0, 123_000_000, time.UTC)

// recordOf returns the record that apply.lua makes of an observation.
func recordOf(e *Execution, owner, inputType string) []byte {
	enc := encode(e, false)
	rank := "0"
	if owner != "" {
		rank = "1"
	}
	head := fmt.Sprintf("%c%s%s%013d%013d%014d%s%03d%02d%07d", recordFormat, enc.version, enc.hash,
		storedTime.UnixMilli(), storedTime.UnixMilli(), e.StartDate.UnixMilli(), rank, len(owner), len(inputType), len(enc.payload))
	record := append([]byte(head+owner+inputType), enc.payload...)
	return append(appendTrailEntry(append(record, 'a'), enc.version, e), fmt.Sprintf("%013d", storedTime.UnixMilli())...)
}

func TestDecodeRestores(t *testing.T) {
	t.Parallel()
	arn, start := testARN(t, "codec"), now()
	unknown := failed(arn, start, "")
	unknown.Status = "A_NEW_END"
	described := running(arn, start)
	described.Source = FromDescribe
	replayed := succeeded(arn, start, `{"a":"`+strings.Repeat("b", 5000)+`"}`)
	replayed.Source = FromReplay
	for what, test := range map[string]struct {
		execution        Execution
		owner, inputType string
	}{
		"running":          {running(arn, start), "ada", "url"},
		"no registers":     {described, "", ""},
		"compressed":       {replayed, strings.Repeat("ö", MaxOwnerLength/2), strings.Repeat("t", MaxInputTypeLength)},
		"failed":           {failed(arn, start, "no"), "a|b\x00{c}", "text"},
		"an unknown word":  {unknown, "ada", ""},
		"the latest times": {running(arn, time.UnixMilli(MaxTime)), "", "url"},
	} {
		e := test.execution
		r, err := decode(arn, recordOf(&e, test.owner, test.inputType))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		body := appendBody(nil, &e)
		want := &Record{
			ARN: arn, Version: e.Version(), Owner: test.owner, Status: e.Status, Terminal: e.Terminal(),
			StartDate: e.StartDate, InputType: test.inputType, Error: e.Error, ObservedAt: storedTime, Source: e.Source,
			Plain: newRepresentation(body, e.Version(), bodyHash(body, &e)),
		}
		r.Gzip = nil
		older := olderRecord(recordOf(&e, test.owner, test.inputType))
		if again, err := decode(arn, older); err != nil || string(again.Plain.Body) != string(r.Plain.Body) || again.Owner != r.Owner {
			t.Errorf("%s: in the older format: %+v, %v", what, again, err)
		}
		if diff := cmp.Diff(want, r, cmpopts.IgnoreUnexported(Record{})); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

// olderRecord returns a record as the older format has it: without the length of
// the payload, and without a trail.
func olderRecord(record []byte) []byte {
	older := append([]byte{olderFormat}, record[1:payloadLengthAt]...)
	return append(older, record[headLength:len(record)-trailEntryLength]...)
}

func TestDecodeRefusesDamage(t *testing.T) {
	t.Parallel()
	small := failed(testARN(t, "damaged"), now(), "no")
	large := succeeded(testARN(t, "damaged"), now(), `"`+strings.Repeat("x", 3000)+`"`)
	for what, e := range map[string]*Execution{"plain": &small, "compressed": &large} {
		record := recordOf(e, "ada", "url")
		for n := range record {
			_, err := decode(e.ARN, record[:n])
			if complete := len(record) - trailEntryLength; err == nil && n < complete {
				t.Errorf("%s: the first %d of %d bytes are accepted", what, n, complete)
			}
		}
		for place, b := range map[int]byte{0: '5', 41: 'x', 82: 'x', 85: '-', 90: 'x'} {
			damaged := append([]byte(nil), record...)
			damaged[place] = b
			if _, err := decode(e.ARN, damaged); err == nil {
				t.Errorf("%s: %q in place %d is accepted", what, b, place)
			}
		}
	}
}

// TestDecodeBoundsMemory: a record may not claim to be larger than any event.
func TestDecodeBoundsMemory(t *testing.T) {
	t.Parallel()
	e := running(testARN(t, "bomb"), now())
	record := recordOf(&e, "", "")[:headLength]
	for _, claimed := range []uint64{maxBodyLength + 1, math.MaxInt64, math.MaxUint64} {
		bomb := append(record[:headLength:headLength], codingGzip, 'e')
		bomb = appendText(appendText(bomb, "SUCCEEDED"), "")
		bomb = append(bomb, 0) // stop date
		for ; claimed >= 0x80; claimed >>= 7 {
			bomb = append(bomb, byte(claimed)|0x80)
		}
		bomb = append(append(bomb, byte(claimed)), compression.GzipAll(make([]byte, 1<<20))...)
		copy(bomb[payloadLengthAt:], fmt.Sprintf("%07d", len(bomb)-headLength))
		if _, err := decode(e.ARN, bomb); err == nil || !strings.Contains(err.Error(), "payload") {
			t.Error("accepted")
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	arn := ARN(testMachine + "fuzz")
	for _, e := range []Execution{
		running(arn, now()), failed(arn, now(), "no"), succeeded(arn, now(), `{}`),
		succeeded(arn, now(), `"`+strings.Repeat("x", 3000)+`"`),
	} {
		f.Add(recordOf(&e, "ada", "url"))
	}
	f.Add([]byte("1" + string(Unobserved) + strings.Repeat("0", 62)))
	f.Add([]byte("2" + string(Unobserved) + strings.Repeat("0", 69)))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		r, err := decode(arn, b)
		if string(b) != before {
			t.Fatal("decode changed what it read")
		}
		if err != nil {
			return
		}
		if full := r.Full(time.Time{}); len(full.Body) <= len(r.Plain.Body) {
			t.Fatal("the full view holds less than the plain one")
		}
		if len(r.Plain.Body) > maxBodyLength || len(r.Owner) > 999 || len(r.InputType) > 99 {
			t.Fatal("larger than a record can be")
		}
	})
}

// TestARunMayStopBeforeItStarted: the clocks of AWS and of emulators differ.
func TestARunMayStopBeforeItStarted(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{-24 * time.Hour, -time.Second, -time.Millisecond, 0, time.Millisecond, 400 * 24 * time.Hour} {
		e := failed(testARN(t, "early"), now(), "no")
		e.StopDate = e.StartDate.Add(took)
		for format, payload := range map[string][]byte{"compact": compactPayload(&e), "digits": payloadOf(&e, appendBody(nil, &e))} {
			p, _, err := readPayload(e.StartDate, payload)
			if err != nil || !p.stop.Equal(e.StopDate) {
				t.Errorf("%s, stopped %v after its start: %v, want %v: %v", format, took, p.stop, e.StopDate, err)
			}
		}
	}
}
