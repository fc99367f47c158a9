package envelope

import "github.com/go-json-experiment/json/jsontext"

// The envelope of a successful answer, before and after its data.
const (
	SuccessBegin = `{"success":true,"data":`
	SuccessEnd   = `}`
)

// Success returns data, which is JSON, in the envelope.
func Success(data []byte) []byte {
	b := make([]byte, 0, len(SuccessBegin)+len(data)+len(SuccessEnd))
	return append(append(append(b, SuccessBegin...), data...), SuccessEnd...)
}

// Body returns the error in the envelope.
func (e *Error) Body() []byte {
	b := append(make([]byte, 0, 128+len(e.Message)), `{"success":false,"error":`...)
	return append(e.appendTo(b), '}')
}

// AppendItem appends the error as the result of one execution among many.
func (e *Error) AppendItem(b []byte, executionARN string) []byte {
	b = append(b, `{"executionArn":`...)
	b = AppendString(b, executionARN)
	b = append(b, `,"error":`...)
	return append(e.appendTo(b), '}')
}

// appendTo appends the parts of the error that clients may see.
func (e *Error) appendTo(b []byte) []byte {
	b = append(b, `{"code":"`...)
	b = append(b, e.Code...)
	b = append(b, `","message":`...)
	b = AppendString(b, e.Message)
	return append(b, '}')
}

// AppendString appends a text as JSON.
func AppendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // fails only for invalid UTF-8, which it replaces
	return b
}
