// Package worklist stores which executions must be checked with Step Functions, because events
// get lost and omit large outputs and inputs. Everything is in Redis and shared by all processes;
// the workers that make the calls are in ingest.
//
//   - Worklist: the lists of executions to describe. A worker claims an entry for the time
//     of a lease, calls Step Functions, and settles or postpones it.
//     Callers may request expired outputs (requests.go).
//   - Sweeps: which process compares which state machine with Step Functions, how far each
//     audit has come, and the mismatches that a sweep passes on to the next.
//   - Budget: how often all processes together may call AWS for one purpose. It slows down
//     if AWS throttles.
//   - Checkpoints: where an interrupted backfill resumes.
//   - LossDetector: detects that Redis has lost its records, and stores which parts of them
//     are not restored yet. A sweep then restores the running executions.
//
// Worklist, Sweeps and LossDetector have a Run: it keeps their metrics and their data in
// memory current. Everything else works without it.
package worklist
