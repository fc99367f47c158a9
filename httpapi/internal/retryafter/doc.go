// Package retryafter computes when a poller should poll again: the header Retry-After of a
// running execution.
//
// A poller with a fixed interval polls too early many times, and then once too late. If
// the durations of a state machine are known, a plan has the ages at which to poll:
//
//   - Until half of the executions have ended, a poller polls at most twice: at the age at
//     which most of them end, and when half of them have ended. So half of all pollers
//     poll at most three times, including the first time.
//   - After that, it polls every second at ages at which ends are likely, and skips the
//     others. So half of all pollers see the end within a second.
//
// A poller that is late or early gets the time until the next age of the plan.
//
// If too little is known, and after a redrive, the steps grow with the age.
package retryafter
