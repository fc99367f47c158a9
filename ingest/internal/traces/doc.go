// Package traces makes the spans of OpenTelemetry for what is received from the queue.
//
//	process            the messages of one receive, until all are handled
//	└─ process event   one message, from when it was received until it is stored
//	                   (or returned to the queue, or ignored); linked to the trace
//	                   of the execution where the message carries its header
//	hydrate, audit     one execution that Step Functions is asked about
//
// A span has the ARN of the execution and the result of the message. It contains nothing of
// the input, the output or the body of a message. Without a provider the Tracer is nil:
// its methods do nothing then, and allocate nothing.
package traces
