package headers

import (
	"net/http"
	"strings"

	"statuscache/cache"
)

// SeenVersion returns the greatest version in an If-None-Match, by our form of
// entity tags, and the tag it stands in; or nothing.
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

// LastEventID returns the newest version that a client says it saw, by the header
// or, as polyfills of EventSource do that may set no header, by the query. What is
// malformed is ignored.
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

// notWordMarks removes what the names of a parameter differ in: polyfills write
// lastEventId, Last-Event-ID or evs_last_event_id.
var notWordMarks = strings.NewReplacer("evs_", "", "_", "", "-", "")
