// Package pacing computes when a poller should poll again: the header Retry-After of a
// running execution.
//
// A poller with a fixed interval polls many times too early and once too late. Where it is
// known how long executions of a state machine take, a plan has the ages at which to poll:
//
//   - Until half of them have ended, a poller polls at most twice: where most of them end,
//     and when half of them have. So half of all pollers poll three times at most, the
//     first time included.
//   - From then on it polls each second where ends are likely, and skips the times between.
//     So half of all pollers see the end within a second.
//
// A poller that comes late, or earlier than it should, is sent to the next age of the plan.
//
// Where too little is known, or after a redrive, the steps grow with the age.
package pacing
