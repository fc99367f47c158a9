// Package intake stores the reports of the processes that receive events: how many messages
// wait in the queue, how old events were when they were applied, and what the audit has
// repaired. A process that only serves the API reads it from there.
//
//   - Reports: the reports of all processes, in Redis. Its Run makes the report of this process,
//     if it receives events, and reads all other reports.
//
// The reports of a process that stops reporting are ignored after a minute.
package intake
