// Package changes reports changes of executions to those who wait for them.
//
// A Hub serves all waiting requests of this process. A notification from the change feed
// carries no data: it means "read again". So requests that wait for the same execution share
// one read, and a lost notification costs five seconds at most. Open a Watch or a Follow,
// then read, then wait: so no change is missed.
package changes
