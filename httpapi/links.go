package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/envelope"
)

const maxLinkRequest = 16 << 10 // bytes of the body

// linkRequest is the body of POST /v1/links.
type linkRequest struct {
	ExecutionARN string         `json:"executionArn"`
	ExpiresIn    jsontext.Value `json:"expiresIn"`
}

// postLink is POST /v1/links: a token that reads and follows one execution.
func (s *Server) postLink(x *exchange) error {
	var body linkRequest
	if err := x.readJSON(maxLinkRequest, &body); err != nil {
		return err
	}
	life, err := linkLife(body.ExpiresIn)
	if err != nil {
		return err
	}
	arn, r, err := s.find(x, body.ExecutionARN)
	switch {
	case err != nil:
		return err
	case r == nil:
		return s.unknown()
	case !x.caller.MayRead(r):
		return errForeign
	}
	token, expires, err := s.auth.NewLink(&x.caller, arn, life)
	if err != nil {
		return err
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.w.Header()["Referrer-Policy"] = envelope.NoReferrer
	x.send(http.StatusCreated, envelope.JSONType, linked(arn, token, x.linkURL(arn, token), expires))
	return nil
}

// linkLife reads how long a link is to be valid: whole seconds, or a text such as 90s, 30m
// or 1h.
func linkLife(value jsontext.Value) (time.Duration, error) {
	const form = `expiresIn: must be a whole number of seconds such as 3600, or a text such as "30m" or "1h", from 1 second to 24 hours`
	var seconds int64
	var text string
	var life time.Duration
	switch {
	case value == nil || value.Kind() == 'n':
		return auth.DefaultLinkLife, nil
	case value.Kind() == '0' && json.Unmarshal(value, &seconds) == nil:
		if seconds > int64(auth.MaxLinkLife/time.Second) {
			return 0, envelope.Invalid(form)
		}
		life = time.Duration(seconds) * time.Second
	case value.Kind() == '"' && json.Unmarshal(value, &text) == nil:
		var err error
		if life, err = time.ParseDuration(text); err != nil {
			return 0, envelope.Invalid(form)
		}
	}
	if life < time.Second || life > auth.MaxLinkLife || life%time.Second != 0 {
		return 0, envelope.Invalid(form)
	}
	return life, nil
}

func linked(arn cache.ARN, token, address string, expires time.Time) []byte {
	b := envelope.AppendString([]byte(`{"token":`), token)
	b = envelope.AppendString(append(b, `,"url":`...), address)
	b = envelope.AppendString(append(b, `,"expiresAt":`...), expires.Format(time.RFC3339))
	b = envelope.AppendString(append(b, `,"executionArn":`...), string(arn))
	return envelope.Success(append(b, '}'))
}

// linkURL returns the address of a link, by the name under which the service was called.
func (x *exchange) linkURL(arn cache.ARN, token string) string {
	u := url.URL{Host: x.r.Host, Path: statusPath + string(arn), RawQuery: linkParameter + "=" + token}
	if u.RawPath = statusPath + url.PathEscape(string(arn)); u.Host != "" {
		u.Scheme = "http"
	}
	if u.Host != "" && (x.server.options.TLS != nil || strings.EqualFold(x.r.Header.Get("X-Forwarded-Proto"), "https")) {
		u.Scheme = "https"
	}
	return u.String()
}

// linkParameter is where a link may stand in a URL, because an EventSource of a browser
// cannot send a header. No other token is taken there.
const linkParameter = "link"

var (
	errLinked    = envelope.Forbidden("a link reads and follows one execution, and can do nothing else")
	errOtherLink = envelope.Forbidden("this link is for another execution")
	errTwoTokens = envelope.Invalid("link: not together with the header Authorization")
	errTwoLinks  = envelope.Invalid("link: given more than once")
)

// authenticate finds out who is calling.
func (x *exchange) authenticate() (auth.Principal, error) {
	authorization := x.r.Header["Authorization"]
	links := linksIn(x.r.URL.RawQuery)
	if len(links) == 0 {
		caller, err := x.server.auth.Authenticate(x.r.Context(), authorization)
		if caller.Linked() {
			x.w.Header()["Referrer-Policy"] = envelope.NoReferrer
		}
		return caller, err
	}
	x.w.Header()["Referrer-Policy"] = envelope.NoReferrer
	switch {
	case len(links) > 1:
		return auth.Principal{}, errTwoLinks
	case authorization != nil:
		return auth.Principal{}, errTwoTokens
	}
	return x.server.auth.AuthenticateLink(x.r.Context(), links[0])
}

// credential returns the header Authorization of a request, or the one that would have said
// the same as its link.
func (x *exchange) credential() string {
	if links := linksIn(x.r.URL.RawQuery); len(links) == 1 {
		return "Bearer " + links[0]
	}
	return x.r.Header.Get("Authorization")
}

// linksIn returns the links that a query names. It is called before the query is known to
// be well formed, and for each request.
func linksIn(query string) (links []string) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name != linkParameter {
			if !strings.ContainsRune(name, '%') {
				continue
			}
			if name, _ = url.QueryUnescape(name); name != linkParameter {
				continue
			}
		}
		value, _ = url.QueryUnescape(value) // empty, and so no link, if it is malformed
		links = append(links, value)
	}
	return links
}
