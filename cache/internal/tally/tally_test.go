package tally

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestABucketIsWithinItsAccuracy: what a bucket says of a duration is wrong by 1 % at most,
// and longer durations are in later buckets.
func TestABucketIsWithinItsAccuracy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, 100*365*24*3600*1000)).Draw(t, "ms")
		d := time.Duration(ms) * time.Millisecond
		got := Seconds(Bucket(d))
		if off := math.Abs(got-d.Seconds()) / d.Seconds(); off > Accuracy+1e-9 {
			t.Fatalf("%v is reported as %v s, wrong by %.4f", d, got, off)
		}
		if b := Bucket(d + time.Millisecond); b < Bucket(d) || b >= Buckets {
			t.Fatalf("%v is in bucket %d, 1 ms more in %d of %d", d, Bucket(d), b, Buckets)
		}
	})
	for d, want := range map[time.Duration]float64{-time.Hour: 0, 0: 0, time.Microsecond: 0} {
		if got := Seconds(Bucket(d)); got != want {
			t.Errorf("%v is reported as %v", d, got)
		}
	}
	if Bucket(math.MaxInt64) != Buckets-1 {
		t.Error("a duration beyond all has no bucket")
	}
}

// TestEntriesAreReadAsTheyWereWritten, and a text that ends early is read as far as it goes.
func TestEntriesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	m, at := MachineOf("a machine"), time.Date(2026, 2, 10, 12, 34, 56, 0, time.UTC)
	given := AppendEvent(nil, m, 777, at)
	if hour := string(given[:HourDigits]); hour != "491868" || !HourStart(491868).Equal(at.Truncate(time.Hour)) || Hour(at) != 491868 {
		t.Errorf("the hour is %s, %d", hour, Hour(at))
	}
	var got []Entry
	EachEntry(string(given[HourDigits:])+"torn", func(e Entry) { got = append(got, e) })
	EachFolded(string(m[:])+"\xff\xff\x01\x02\x03\x04"+"torn", func(e Entry) { got = append(got, e) })
	want := []Entry{{m, 777, 34, 1}, {m, Started, -1, 0x01020304}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if g, n, ok := ReadHeader("\x00\x02\x00\x00\x00\x0c"); g != 2 || n != 12 || !ok {
		t.Errorf("header %d, %d, %v", g, n, ok)
	}
	if hour := string(AppendEvent(nil, m, 0, time.UnixMilli(-1))[:HourDigits]); hour != "000000" {
		t.Errorf("before 1970 is hour %s", hour)
	}
}
