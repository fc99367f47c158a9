package envelope

// The framing of Server-Sent Events, as the WHATWG HTML standard defines it (§9.2.6). The
// functions have no side effects.

const reconnectMs = "2000" // how long a client waits before it comes back

// AppendRetry appends how long a client waits before it connects again.
func AppendRetry(b []byte) []byte { return append(b, "retry: "+reconnectMs+"\n\n"...) }

// AppendHeartbeat appends a comment, so that the connection does not look dead. The page
// does not receive it.
func AppendHeartbeat(b []byte) []byte { return append(b, ":\n\n"...) }

// AppendEvent appends an event. Its name and id come from this service and have no line
// breaks; without an id the previous one stays valid. data is JSON. A raw line break in
// JSON can only be white space, so it is replaced with a space, because it would end the
// line. data must not be empty, because a browser ignores events without data.
func AppendEvent(b []byte, name, id string, data []byte) []byte {
	b = AppendEventHead(b, name, id)
	first := len(b)
	b = append(b, data...)
	for i := first; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return append(b, EndOfEvent...)
}

// The parts of an event other than its head and its data.
const (
	EndOfEvent = "\n\n"
	LineBreaks = "\r\n" // characters, each of which ends a line
)

// AppendEventHead appends the part of an event before its data.
func AppendEventHead(b []byte, name, id string) []byte {
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	return append(append(append(b, "event: "...), name...), "\ndata: "...)
}
