package stats

import (
	"math"
	"time"

	"statuscache/cache/internal/tally"
)

// sketch is a distribution of durations: how many are in each bucket, beginning with
// first. Sketches of parts can be added.
type sketch struct {
	first  int
	counts []uint32
	total  int64
}

// add counts n more durations in a bucket; with a negative n, fewer.
func (s *sketch) add(bucket int, n int64) {
	switch {
	case len(s.counts) == 0:
		s.first, s.counts = bucket, make([]uint32, 1, 8)
	case bucket < s.first:
		longer := make([]uint32, s.first-bucket+len(s.counts))
		copy(longer[s.first-bucket:], s.counts)
		s.first, s.counts = bucket, longer
	}
	for bucket >= s.first+len(s.counts) {
		s.counts = append(s.counts, 0)
	}
	s.counts[bucket-s.first] = uint32(int64(s.counts[bucket-s.first]) + n)
	s.total += n
}

// merge adds another sketch, or with a sign of -1 subtracts it.
func (s *sketch) merge(o *sketch, sign int64) {
	for i, n := range o.counts {
		if n > 0 {
			s.add(o.first+i, sign*int64(n))
		}
	}
}

// each calls f with the duration of each bucket, in seconds, and its count.
func (s *sketch) each(f func(seconds float64, n int64)) {
	for i, n := range s.counts {
		if n > 0 {
			f(tally.Seconds(uint16(s.first+i)), int64(n))
		}
	}
}

// rank returns the duration in seconds that is not exceeded by n of the durations in the
// buckets from the given one on.
func (s *sketch) rank(from int, n int64) float64 {
	for i := max(0, from-s.first); i < len(s.counts); i++ {
		if n -= int64(s.counts[i]); n <= 0 {
			return tally.Seconds(uint16(s.first + i))
		}
	}
	return 0
}

// quantile returns the duration in seconds that a share q of all durations does not exceed.
func (s *sketch) quantile(q float64) float64 {
	return s.rank(0, rankOf(q, s.total))
}

func rankOf(q float64, of int64) int64 {
	return min(max(1, int64(math.Ceil(q*float64(of)-1e-9))), of)
}

func (s *sketch) duration() Duration {
	if s.total == 0 {
		return Duration{}
	}
	return Duration{Count: s.total, P50: s.quantile(0.50), P95: s.quantile(0.95), P99: s.quantile(0.99), Max: s.rank(0, s.total)}
}

// Distribution is the distribution of the durations of a state machine's executions that
// succeeded in the last 7 days. It does not change.
type Distribution struct{ s *sketch }

// Count returns the number of executions.
func (d Distribution) Count() int64 {
	if d.s == nil {
		return 0
	}
	return d.s.total
}

// Quantile returns the time in which a share q of the executions, 0 to 1, succeeded, within
// 1 %; 0 without any.
func (d Distribution) Quantile(q float64) time.Duration {
	if d.Count() == 0 {
		return 0
	}
	return seconds(d.s.quantile(q))
}

// RemainingAfter considers the executions that took longer than age. It returns the time
// that a share q of them took after that, and their number; zeros if there are none.
func (d Distribution) RemainingAfter(age time.Duration, q float64) (rest time.Duration, count int64) {
	if d.Count() == 0 {
		return 0, 0
	}
	from := int(tally.Bucket(age)) + 1
	for i := max(0, from-d.s.first); i < len(d.s.counts); i++ {
		count += int64(d.s.counts[i])
	}
	if count == 0 {
		return 0, 0
	}
	return max(0, seconds(d.s.rank(from, rankOf(q, count)))-age), count
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
