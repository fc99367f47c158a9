package localaws

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/ingest/internal/eventpattern"
)

const (
	maxEntries   = 10
	maxPutEvents = 1 << 20 // bytes of a request's entries
)

type (
	putEventsRequest struct{ Entries []putEvent }
	putEvent         struct {
		Source, DetailType, Detail, EventBusName string
		Resources                                []string
		Time                                     *float64 // seconds since 1970
	}
	putEventsResult struct {
		FailedEntryCount int
		Entries          []putResult
	}
	putResult struct {
		EventId                 string `json:",omitzero"`
		ErrorCode, ErrorMessage string `json:",omitzero"`
	}

	// envelope is an event as targets get it.
	envelope struct {
		Version    string         `json:"version"`
		ID         string         `json:"id"`
		DetailType string         `json:"detail-type"`
		Source     string         `json:"source"`
		Account    string         `json:"account"`
		Time       string         `json:"time"`
		Region     string         `json:"region"`
		Resources  []string       `json:"resources"`
		Detail     jsontext.Value `json:"detail"`
	}
	testPatternRequest struct{ Event, EventPattern string }
	testPatternResult  struct{ Result bool }
)

func (s *Server) putEvents(_ *http.Request, in putEventsRequest) (any, error) {
	bytes := 0
	for _, e := range in.Entries {
		bytes += e.bytes()
	}
	switch {
	case len(in.Entries) == 0 || len(in.Entries) > maxEntries:
		return nil, validation("Entries: there must be between 1 and 10")
	case bytes > maxPutEvents:
		return nil, validation("Total size of the entries in the request is over the limit.")
	}
	var result putEventsResult
	for _, e := range in.Entries {
		bus, err := s.bus.lookUp(e.EventBusName)
		if err == nil {
			err = e.check()
		}
		if err != nil {
			result.Entries = append(result.Entries, putResult{ErrorCode: asError(err).Code, ErrorMessage: asError(err).Message})
			result.FailedEntryCount++
			continue
		}
		id := newID()
		s.publish(bus, e.envelope(id), nil)
		result.Entries = append(result.Entries, putResult{EventId: id})
	}
	return result, nil
}

// bytes is the size of an entry, as EventBridge counts it.
func (e putEvent) bytes() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	for _, r := range e.Resources {
		n += len(r)
	}
	if e.Time != nil {
		n += 14
	}
	return n
}

// check returns the error that an entry fails with, alone.
func (e putEvent) check() error {
	for name, value := range map[string]string{"Source": e.Source, "DetailType": e.DetailType, "Detail": e.Detail} {
		if value == "" {
			return &Error{Code: "InvalidArgument", Message: "Parameter " + name + " is not valid. Reason: " + name + " is a required argument."}
		}
	}
	detail := jsontext.Value(e.Detail)
	switch {
	case strings.HasPrefix(e.Source, "aws."):
		return &Error{Code: "NotAuthorizedForSourceException", Message: "Not authorized for the source."}
	case !detail.IsValid() || detail.Kind() != '{':
		return &Error{Code: "MalformedDetail", Message: "Detail is malformed."}
	}
	return nil
}

func (e putEvent) envelope(id string) []byte {
	at := time.Now()
	if e.Time != nil {
		at = fromEpoch(*e.Time)
	}
	text, _ := json.Marshal(envelope{ // no error: strings that came as JSON, and a detail that was checked
		Version: "0", ID: id, DetailType: e.DetailType, Source: e.Source, Account: account, Region: region,
		Time: at.UTC().Format("2006-01-02T15:04:05Z"), Resources: e.Resources, Detail: jsontext.Value(e.Detail),
	})
	return text
}

func (s *Server) testEventPattern(_ *http.Request, in testPatternRequest) (any, error) {
	p, err := eventpattern.Compile(in.EventPattern)
	if err != nil {
		return nil, invalidPattern(err)
	}
	tree, err := eventpattern.Parse([]byte(in.Event))
	if _, is := tree.(map[string]any); err != nil || !is {
		return nil, validation("Parameter Event is not valid.")
	}
	return testPatternResult{p.Matches(tree)}, nil
}
