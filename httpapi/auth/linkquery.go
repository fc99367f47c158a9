package auth

import (
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/httpapi/internal/envelope"
)

// LinkParameter is the query parameter for a link, because an EventSource of a browser
// cannot send a header. Other tokens are not accepted there.
const LinkParameter = "link"

// ParseLinkLife reads the lifetime of a link: whole seconds, or a text such as 90s, 30m or 1h.
func ParseLinkLife(value jsontext.Value) (time.Duration, error) {
	const form = `expiresIn: must be a whole number of seconds such as 3600, or a text such as "30m" or "1h", from 1 second to 24 hours`
	var seconds int64
	var text string
	var life time.Duration
	switch {
	case value == nil || value.Kind() == 'n':
		return DefaultLinkLife, nil
	case value.Kind() == '0' && json.Unmarshal(value, &seconds) == nil:
		if seconds > int64(MaxLinkLife/time.Second) {
			return 0, envelope.Invalid(form)
		}
		life = time.Duration(seconds) * time.Second
	case value.Kind() == '"' && json.Unmarshal(value, &text) == nil:
		var err error
		if life, err = time.ParseDuration(text); err != nil {
			return 0, envelope.Invalid(form)
		}
	}
	if life < time.Second || life > MaxLinkLife || life%time.Second != 0 {
		return 0, envelope.Invalid(form)
	}
	return life, nil
}

// LinksIn returns the links in a query. It is called for each request, before the query
// is known to be well formed.
func LinksIn(query string) (links []string) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name != LinkParameter {
			if !strings.ContainsRune(name, '%') {
				continue
			}
			if name, _ = url.QueryUnescape(name); name != LinkParameter {
				continue
			}
		}
		value, _ = url.QueryUnescape(value) // a malformed value is empty, and so not a link
		links = append(links, value)
	}
	return links
}
