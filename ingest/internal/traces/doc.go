// Package traces makes the OpenTelemetry spans of messages from the queue.
//
//	process            the messages of one receive, until all are handled
//	└─ process event   one message, from when it was received until it is stored
//	                   (or returned to the queue, or ignored); linked to the trace
//	                   of the execution where the message carries its header
//	hydrate, audit     one execution that is described
//
// A span has the ARN of the execution and the result of the message, but nothing of the
// input, the output or the body. Without a provider the Tracer is nil: its methods then do
// nothing and allocate nothing.
package traces
