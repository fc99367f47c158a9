package localaws

import "net/http"

const maxBatch = 10 // entries

// entry is one message of a batch: its Id and the request for it.
type entry interface{ entryID() string }

type entryOf struct{ Id string }

func (e entryOf) entryID() string { return e.Id }

type (
	sendMessageBatchRequest struct {
		toQueue
		Entries []sendEntry
	}
	deleteMessageBatchRequest struct {
		toQueue
		Entries []deleteEntry
	}
	changeVisibilityBatchRequest struct {
		toQueue
		Entries []changeEntry
	}

	sendEntry struct {
		entryOf
		outgoing
	}
	deleteEntry struct {
		entryOf
		receipt
	}
	changeEntry struct {
		entryOf
		visibility
	}

	sentEntry struct {
		entryOf
		sent
	}

	batchResult struct {
		Successful []any         `json:",omitempty"`
		Failed     []failedEntry `json:",omitempty"`
	}
	failedEntry struct {
		entryOf
		Code, Message string
		SenderFault   bool
	}
)

func (s *Server) sendMessageBatch(_ *http.Request, q *Queue, in sendMessageBatchRequest) (any, error) {
	bytes := 0
	for _, e := range in.Entries {
		bytes += e.bytes()
	}
	if bytes > maxMessageBytes {
		return nil, errBatchTooLong
	}
	return eachOf(in.Entries, func(e sendEntry) (any, error) {
		accepted, err := q.accept(e.outgoing)
		return sentEntry{e.entryOf, accepted}, err
	})
}

func (s *Server) deleteMessageBatch(_ *http.Request, q *Queue, in deleteMessageBatchRequest) (any, error) {
	return eachOf(in.Entries, func(e deleteEntry) (any, error) { return e.entryOf, s.delete(q, e.receipt) })
}

func (s *Server) changeVisibilityBatch(_ *http.Request, q *Queue, in changeVisibilityBatchRequest) (any, error) {
	return eachOf(in.Entries, func(e changeEntry) (any, error) { return e.entryOf, q.change(e.visibility) })
}

// eachOf calls a function for each entry of a batch. It returns an error if the batch as a
// whole is wrong; the errors of entries are in the result.
func eachOf[E entry](entries []E, do func(E) (any, error)) (any, error) {
	if err := checkBatch(entries); err != nil {
		return nil, err
	}
	var result batchResult
	for _, e := range entries {
		done, err := do(e)
		if err == nil {
			result.Successful = append(result.Successful, done)
			continue
		}
		why := asError(err)
		result.Failed = append(result.Failed, failedEntry{
			entryOf{e.entryID()}, why.Code, why.Message, why.fromSender(),
		})
	}
	return result, nil
}

func checkBatch[E entry](entries []E) error {
	switch {
	case len(entries) == 0:
		return errEmptyBatch
	case len(entries) > maxBatch:
		return errBatchTooMany
	}
	seen := map[string]bool{}
	for _, e := range entries {
		id := e.entryID()
		switch {
		case !validID(id):
			return errBatchEntryID
		case seen[id]:
			return errBatchSameID
		}
		seen[id] = true
	}
	return nil
}

// validID reports whether SQS accepts a name for queues and entries.
func validID(id string) bool {
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 80
}
