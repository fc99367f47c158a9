package tally

import (
	"math"
	"time"
)

// Durations fall into buckets of which each is wider than the one before by the factor
// growth. The value of a bucket is right for all durations in it, within Accuracy.
const (
	growth = 1.02

	// Accuracy is the greatest relative error of what a bucket says of a duration.
	Accuracy = (growth - 1) / (growth + 1)
)

// Buckets is the number of buckets. The last holds everything from 100 years.
var Buckets = Bucket(100*365*24*time.Hour) + 1

// Bucket returns the bucket of a duration in whole ms. The first holds those of less than
// a millisecond.
func Bucket(d time.Duration) uint16 {
	ms := d.Milliseconds()
	if ms <= 0 {
		return 0
	}
	const longest = 100 * 365 * 24 * time.Hour
	ms = min(ms, longest.Milliseconds())
	return uint16(1 + math.Ceil(math.Log(float64(ms))/math.Log(growth)-1e-9))
}

// Seconds returns what the durations of a bucket are, within Accuracy.
func Seconds(bucket uint16) float64 {
	if bucket == 0 {
		return 0
	}
	return 2 * math.Pow(growth, float64(bucket-1)) / (growth + 1) / 1000
}
