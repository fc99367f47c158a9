//go:build !unix

package app

import "math"

// maxFiles returns how many files this process may have open at once. Here no limit is
// known.
func maxFiles() uint64 { return math.MaxUint64 }
