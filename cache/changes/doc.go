// Package changes reports changes of executions to those who wait for them.
//
// A Hub serves everybody who waits in this process. A notification from the change feed
// carries no data: it means "read again". So those who wait for the same execution share
// one read, and a lost notification costs five seconds at most. Open a Watch or a Follow,
// then read, then wait: no change falls between.
package changes
