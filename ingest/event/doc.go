// Package event decodes the status change events of Step Functions.
//
//	envelope.go      a message, and the envelopes that an event may arrive in
//	event.go         the event: dates, redrive count, output
//	errormessage.go  one line for people, from an error and its cause
//	owner.go         the owner in the input of an execution, and the input itself
//	labels.go        the labels in it
//	scan.go          JSON as it usually comes, read fast
package event
