// Package event decodes the status change events of Step Functions.
//
//	envelope.go      a message, and the envelopes around an event
//	event.go         the event: dates, redrive count, output
//	errormessage.go  a one-line error message from an error and its cause
//	owner.go         the input of an execution, and the owner in it
//	labels.go        the labels in the input
//	scan.go          a fast reader of usual JSON
package event
