// Package changes reports changes of executions to waiting requests.
//
// A Hub serves all waiting requests of this process. A notification from the change feed
// carries no data: it means "read again". So requests that wait for the same execution share
// one read, and a lost notification causes a delay of at most five seconds. Open a Watch or
// a Follow first, then read, then wait, so that no change is missed.
package changes
