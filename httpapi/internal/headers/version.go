package headers

import (
	"net/http"
	"strings"

	"statuscache/cache"
)

// SeenVersion returns the greatest version in the entity tags of an If-None-Match, and
// its tag; or nothing.
func SeenVersion(h http.Header) (seen cache.Version, tag string) {
	for _, list := range h["If-None-Match"] {
		for each := range strings.SplitSeq(list, ",") {
			each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
			if v, ok := cache.ParseVersion(strings.TrimPrefix(each, `"`)); ok && v > seen {
				seen, tag = v, each
			}
		}
	}
	return seen, tag
}

// LastEventID returns the newest version that a client reports, in the header or in the
// query, which polyfills of EventSource use if they cannot set headers. Malformed values
// are ignored.
func LastEventID(r *http.Request) (seen cache.Version) {
	take := func(ids []string) {
		for _, id := range ids {
			if v, ok := cache.ParseVersion(id); ok && len(id) == len(v) && v > seen {
				seen = v
			}
		}
	}
	take(r.Header["Last-Event-Id"])
	if r.URL.RawQuery != "" {
		for name, values := range r.URL.Query() {
			if strings.EqualFold(notWordMarks.Replace(name), "lastEventId") {
				take(values)
			}
		}
	}
	return seen
}

// notWordMarks removes the characters in which the names of the parameter differ:
// polyfills write lastEventId, Last-Event-ID or evs_last_event_id.
var notWordMarks = strings.NewReplacer("evs_", "", "_", "", "-", "")
