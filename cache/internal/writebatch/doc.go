// Package writebatch has concurrent writes share round trips. It knows nothing of what they
// write.
package writebatch
