package tally

import (
	"math"
	"time"
)

// Durations are counted in buckets. Each bucket is wider than the previous one by the
// factor growth. The value of a bucket is correct for all durations in it, within
// Accuracy.
const (
	growth = 1.02

	// Accuracy is the greatest relative error of the value of a bucket.
	Accuracy = (growth - 1) / (growth + 1)
)

// Buckets is the number of buckets. The last one is for 100 years and more.
var Buckets = Bucket(100*365*24*time.Hour) + 1

// Bucket returns the bucket of a duration in whole ms. The first one is for less than a
// millisecond.
func Bucket(d time.Duration) uint16 {
	ms := d.Milliseconds()
	if ms <= 0 {
		return 0
	}
	const longest = 100 * 365 * 24 * time.Hour
	ms = min(ms, longest.Milliseconds())
	return uint16(1 + math.Ceil(math.Log(float64(ms))/math.Log(growth)-1e-9))
}

// Seconds returns the value of a bucket, within Accuracy.
func Seconds(bucket uint16) float64 {
	if bucket == 0 {
		return 0
	}
	return 2 * math.Pow(growth, float64(bucket-1)) / (growth + 1) / 1000
}
