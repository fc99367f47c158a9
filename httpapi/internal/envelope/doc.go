// Package envelope writes the form of answers: the JSON envelope of success and of errors,
// Server-Sent Events, and the header values that never change.
//
//	envelope.go     {"success":true,"data":…} and {"success":false,"error":…}
//	errors.go       every error of the API, with its status and its code
//	rawresponse.go  an error as a complete answer of HTTP/1.1 or HTTP/2, without net/http
//	headers.go      header values
//	sse.go          the framing of Server-Sent Events
//
// The data of an answer about one execution is rendered in package cache when its
// record is stored.
//
// The package imports no other package of this project.
package envelope
