package main

import (
	"encoding/json"
	"testing"

	"statuscache/cache"
	"statuscache/ingest/event"
)

func TestEventsAreOfTheirSizeAndDecodable(t *testing.T) {
	t.Parallel()
	decoder := event.Decoder{Owner: event.OwnerPath{"tenantId"}}
	h := newHappening("ada")
	for name, c := range map[string]struct {
		text string
		size int // 0: whatever it is
		want cache.Status
	}{
		"running":          {h.running(), 0, cache.Running},
		"succeeded, 1.3kB": {h.succeeded(1300), 1300, cache.Succeeded},
		"succeeded, 6 kB":  {h.succeeded(6144), 6144, cache.Succeeded},
		"succeeded, least": {h.succeeded(0), 0, cache.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.size != 0 && len(c.text) != c.size {
				t.Errorf("%d bytes, want %d", len(c.text), c.size)
			}
			event, err := decoder.Decode([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			e := event
			if e.Status != c.want || e.Owner != "ada" || string(e.ARN) != h.arn() || e.InputType != "url" {
				t.Errorf("decoded as %+v", e)
			}
			if c.want == cache.Succeeded && !json.Valid(e.Output) {
				t.Errorf("output is not JSON: %s", e.Output)
			}
		})
	}
}

func TestEventsHaveTheKeysOfStepFunctions(t *testing.T) {
	t.Parallel()
	var event struct{ Detail map[string]any }
	if err := json.Unmarshal([]byte(newHappening("ada").running()), &event); err != nil {
		t.Fatal(err)
	}
	if len(event.Detail) != 18 {
		t.Errorf("%d keys, want 18", len(event.Detail))
	}
}
