// Package writebatch lets concurrent writes share round trips. It does not know the contents of
// the writes.
package writebatch
