// Package pacing says when a poller should ask again: the header Retry-After of an
// execution that runs.
//
// A poller that asks at fixed steps asks many times too early and once too late. Where it is
// known how long executions of a state machine take, a plan has the ages at which to ask:
//
//   - Until half of them have ended, it asks at most twice: where most of them end, and
//     when half of them have. So half of all pollers ask three times at most, the first
//     time included.
//   - From then on it asks each second where ends are likely, and leaps over times without.
//     So half of all pollers learn of the end within a second.
//
// A poller that comes late, or earlier than it should, is sent to the next age of the plan.
//
// Where too little is known, or after a redrive, the steps grow with the age.
package pacing
