package httpapi

// The framing of Server-Sent Events, as the WHATWG HTML standard defines it
// (§9.2.6). Everything here is pure.

const reconnectMs = "2000" // how long a client waits before it comes back

// appendRetry appends how long a client is to wait before it comes back.
func appendRetry(b []byte) []byte { return append(b, "retry: "+reconnectMs+"\n\n"...) }

// appendHeartbeat appends a comment, which keeps a connection from being taken
// for dead and is not told to the page.
func appendHeartbeat(b []byte) []byte { return append(b, ":\n\n"...) }

// appendEvent appends an event. Its name and id are ours, without line breaks;
// without an id the one before stays. data is JSON: a raw line break in it can
// only be white space, and becomes a space, because it would end the line. An
// event without data would not be told, so there must be some.
func appendEvent(b []byte, name, id string, data []byte) []byte {
	b = appendEventHead(b, name, id)
	first := len(b)
	b = append(b, data...)
	for i := first; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return append(b, endOfEvent...)
}

const (
	endOfEvent = "\n\n"
	lineBreaks = "\r\n" // which end a line, each of them
)

// appendEventHead appends what stands before the data of an event.
func appendEventHead(b []byte, name, id string) []byte {
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	return append(append(append(b, "event: "...), name...), "\ndata: "...)
}
