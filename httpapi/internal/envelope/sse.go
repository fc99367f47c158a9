package envelope

// The framing of Server-Sent Events, as the WHATWG HTML standard defines it
// (§9.2.6). Everything here is pure.

const reconnectMs = "2000" // how long a client waits before it comes back

// AppendRetry appends how long a client waits before it comes back.
func AppendRetry(b []byte) []byte { return append(b, "retry: "+reconnectMs+"\n\n"...) }

// AppendHeartbeat appends a comment, which keeps a connection from being taken
// for dead. The page does not see it.
func AppendHeartbeat(b []byte) []byte { return append(b, ":\n\n"...) }

// AppendEvent appends an event. Its name and id are ours, without line breaks;
// without an id the one before stays. data is JSON: a raw line break in it can
// only be white space, and becomes a space, because it would end the line. An
// event without data would not reach the page, so there must be some.
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
	LineBreaks = "\r\n" // characters that end a line, each of them
)

// AppendEventHead appends what stands before the data of an event.
func AppendEventHead(b []byte, name, id string) []byte {
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	return append(append(append(b, "event: "...), name...), "\ndata: "...)
}
