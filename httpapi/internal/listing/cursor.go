package listing

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strconv"

	"statuscache/cache"
	"statuscache/cache/lists"
	"statuscache/httpapi/internal/envelope"
)

// bindingLength is how many bytes of a hash bind a cursor to its caller and filter.
const bindingLength = 8

// Binding is a hash of a caller and a filter. It prevents the use of a cursor with another
// list. It is not a security measure: a cursor only says where to continue in the caller's
// own list.
type Binding [bindingLength]byte

// Bind returns the binding of the caller whose executions are listed and of the parameters
// of the request. A time such as 1h is bound as text.
func Bind(caller string, q *lists.Query, values url.Values) (b Binding) {
	h := sha256.New()
	texts := []string{caller, q.Owner, strconv.FormatBool(q.All)}
	for _, name := range []string{"status", "stateMachineArn", "name", "error", "label", "startedAfter", "startedBefore", "q", "overdue"} {
		texts = append(texts, values.Get(name))
	}
	for _, text := range texts {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(text)))) // a hash does not fail
		_, _ = h.Write([]byte(text))
	}
	copy(b[:], h.Sum(nil))
	return b
}

// Cursor returns the cursor of a position.
func (b Binding) Cursor(p lists.Position) string {
	text := binary.BigEndian.AppendUint64(b[:], uint64(p.Start))
	return base64.RawURLEncoding.EncodeToString(append(text, p.ARN...))
}

// Position reads a cursor.
func (b Binding) Position(cursor string) (lists.Position, error) {
	const head = bindingLength + 8
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(text) < head {
		return lists.Position{}, envelope.Invalid("cursor: malformed; begin again without one")
	}
	if string(text[:bindingLength]) != string(b[:]) {
		return lists.Position{}, envelope.Invalid("cursor: it belongs to another caller or another filter; begin again without one")
	}
	start := binary.BigEndian.Uint64(text[bindingLength:head])
	arn, err := cache.ParseARN(string(text[head:]))
	if err != nil || start > cache.MaxTime {
		return lists.Position{}, envelope.Invalid("cursor: malformed; begin again without one")
	}
	return lists.Position{Start: int64(start), ARN: arn}, nil
}
