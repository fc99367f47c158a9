package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"time"

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
	life, err := auth.ParseLinkLife(body.ExpiresIn)
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

func linked(arn cache.ARN, token, address string, expires time.Time) []byte {
	b := envelope.AppendString([]byte(`{"token":`), token)
	b = envelope.AppendString(append(b, `,"url":`...), address)
	b = envelope.AppendString(append(b, `,"expiresAt":`...), expires.Format(time.RFC3339))
	b = envelope.AppendString(append(b, `,"executionArn":`...), string(arn))
	return envelope.Success(append(b, '}'))
}

// linkURL returns the URL of a link, with the host name of the request.
func (x *exchange) linkURL(arn cache.ARN, token string) string {
	u := url.URL{Host: x.r.Host, Path: statusPath + string(arn), RawQuery: auth.LinkParameter + "=" + token}
	if u.RawPath = statusPath + url.PathEscape(string(arn)); u.Host != "" {
		u.Scheme = "http"
	}
	if u.Host != "" && (x.server.options.TLS != nil || strings.EqualFold(x.r.Header.Get("X-Forwarded-Proto"), "https")) {
		u.Scheme = "https"
	}
	return u.String()
}

var (
	errLinked    = envelope.Forbidden("a link reads and follows one execution, and can do nothing else")
	errOtherLink = envelope.Forbidden("this link is for another execution")
	errTwoTokens = envelope.Invalid("link: must not be sent together with the header Authorization")
	errTwoLinks  = envelope.Invalid("link: given more than once")
)

// authenticate identifies the caller.
func (x *exchange) authenticate() (auth.Principal, error) {
	authorization := x.r.Header["Authorization"]
	links := auth.LinksIn(x.r.URL.RawQuery)
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

// credential returns the Authorization header of a request, or an equivalent one for its
// link.
func (x *exchange) credential() string {
	if links := auth.LinksIn(x.r.URL.RawQuery); len(links) == 1 {
		return "Bearer " + links[0]
	}
	return x.r.Header.Get("Authorization")
}
