package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"statuscache/cache/boundedmap"
	"statuscache/cache/outage"
	"statuscache/cache/singleflight"
	"statuscache/httpapi/internal/envelope"
)

// Introspection is the server (RFC 7662) that checks all other tokens: those that are neither
// API keys nor links nor, if JWTs are accepted, JWTs.
type Introspection struct {
	URL         string
	ClientID    string
	Secret      func() (string, error) // of the client, called for each request to the server
	OwnerClaim  string
	ScopePrefix string            // of PREFIX/read:all and PREFIX/register
	Transport   http.RoundTripper // nil: http.DefaultTransport
	Limit       time.Duration     // of one request to the server; 0: 2 s
}

// Bounds of introspection.
const (
	// introspectionLife is how long an answer is used. A stream or a wait ends within 30 s after
	// its token has become invalid.
	introspectionLife  = 20 * time.Second
	introspectionLimit = 2 * time.Second // default of Limit
	introspectionPause = time.Second     // after a request that failed, before the next
	maxIntrospections  = 100             // requests at once; other callers get 503
	maxActive          = 50_000          // tokens remembered
	maxInactive        = 10_000          // remembered separately, so that garbage displaces no active tokens
	maxIntrospected    = 64 << 10        // bytes of an answer
)

var (
	errIntrospectionBusy   = errors.New("too many tokens are being introspected")
	errIntrospectionPaused = errors.New("the introspection endpoint failed a moment ago")
)

// introspector sends tokens to the server, and remembers the answers for some time.
type introspector struct {
	options  Introspection
	client   *http.Client
	now      func() time.Time
	active   boundedmap.ByHash[verifiedToken]
	inactive boundedmap.ByHash[inactiveToken]
	asking   singleflight.Group[Principal]
	places   chan struct{}
	state    outage.Part

	mu     sync.Mutex
	paused time.Time // no request is sent before that
	failed error     // of the latest request; nil: it was answered
}

// errClientRefused means that the server does not accept our client credentials.
var errClientRefused = errors.New("the introspection endpoint refuses the client credentials")

// Introspection returns nil if other tokens can be checked, or if no server is set for them.
// Otherwise it returns the reason; the method Public of the error returns a text without
// names.
func (a *Authenticator) Introspection() error {
	if a.introspector == nil {
		return nil
	}
	a.introspector.mu.Lock()
	defer a.introspector.mu.Unlock()
	if a.introspector.failed == nil {
		return nil
	}
	return introspectionFault{a.introspector.failed}
}

type introspectionFault struct{ error }

// Public returns the reason in a text for the public.
func (f introspectionFault) Public() string {
	if errors.Is(f.error, errClientRefused) {
		return "the server that checks tokens refuses the credentials of this service"
	}
	return "the server that checks tokens does not answer as it should"
}

// probeEvery is how often the server is probed with a token that does not exist, until it
// answers. Without callers, nothing else would show that it answers again.
const probeEvery = 10 * time.Second

const probeToken = "status-service-probe" // which does not exist

// run probes the server at the start and while it fails, until ctx ends.
func (i *introspector) run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for answered := false; ; {
		if !answered || i.failing() {
			_, err := i.introspect(ctx, probeToken)
			if answered = err == nil; ctx.Err() == nil {
				i.noteAnswer(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (i *introspector) failing() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.failed != nil
}

// noteAnswer records whether the server has answered.
func (i *introspector) noteAnswer(err error) {
	i.state.Is(err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failed = err
}

type inactiveToken struct {
	refusal *envelope.Error
	until   time.Time
}

func newIntrospector(o Introspection, log *slog.Logger) *introspector {
	o.Limit = cmp.Or(o.Limit, introspectionLimit)
	return &introspector{
		options: o, now: time.Now, places: make(chan struct{}, maxIntrospections),
		client: &http.Client{
			Transport: o.Transport, Timeout: o.Limit,
			// The token is for this server only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		active: boundedmap.NewByHash[verifiedToken](maxActive), inactive: boundedmap.NewByHash[inactiveToken](maxInactive),
		state: outage.Part{
			Log:  log,
			Lost: "tokens cannot be introspected, so their callers get 503; check AUTH_INTROSPECTION_URL, _CLIENT_ID and _SECRET_FILE, and that the server is up",
			Back: "tokens can be introspected again",
		},
	}
}

// verify returns the principal of a token, from a recent answer of the server or from a new one.
func (i *introspector) verify(ctx context.Context, token string) (Principal, error) {
	if len(token) > maxTokenBytes || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Principal{}, refused(malformedToken, "", "longer than %d bytes, or not printable", maxTokenBytes)
	}
	sum := sha256.Sum256([]byte(token))
	if p, err, known := i.known(sum); known {
		return p, err
	}
	asked := i.asking.Begin(ctx, i.options.Limit, string(sum[:]), func(ctx context.Context) (Principal, error) { return i.ask(ctx, token, sum) })
	p, err := asked.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		return Principal{}, unavailable(err)
	}
	return p, err
}

// known returns the latest reply of the server.
func (i *introspector) known(sum boundedmap.Hash) (p Principal, err error, known bool) {
	now := i.now()
	if v, ok := i.active.Get(sum); ok && now.Before(v.until) {
		return v.principal, nil, true
	}
	if v, ok := i.inactive.Get(sum); ok && now.Before(v.until) {
		return Principal{}, v.refusal, true
	}
	return Principal{}, nil, false
}

// ask asks the server and remembers the answer.
func (i *introspector) ask(ctx context.Context, token string, sum boundedmap.Hash) (Principal, error) {
	if p, err, known := i.known(sum); known { // the previous request has answered it
		return p, err
	}
	select {
	case i.places <- struct{}{}:
		defer func() { <-i.places }()
	default:
		return Principal{}, unavailable(errIntrospectionBusy)
	}
	if i.isPaused() {
		return Principal{}, unavailable(errIntrospectionPaused)
	}
	claims, err := i.introspect(ctx, token)
	i.noteAnswer(err)
	if err != nil {
		i.pause()
		return Principal{}, unavailable(err)
	}
	until := i.now().Add(introspectionLife)
	p, refusal := i.principal(claims)
	if refusal != nil {
		i.active.Delete(sum)
		i.inactive.Set(sum, inactiveToken{refusal, until})
		return Principal{}, refusal
	}
	if !p.Expires.IsZero() && p.Expires.Before(until) {
		until = p.Expires
	}
	i.active.Set(sum, verifiedToken{principal: p, until: until})
	return p, nil
}

func unavailable(err error) *envelope.Error {
	late := envelope.Unavailable("tokens cannot be checked now; try again", err)
	late.RetryAfter = introspectionPause
	return late
}

func (i *introspector) isPaused() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now().Before(i.paused)
}

func (i *introspector) pause() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paused = i.now().Add(introspectionPause)
}

// CheckIntrospection probes the server with a token that does not exist, and returns what is
// wrong and what to do, both empty if it answers.
func CheckIntrospection(ctx context.Context, o Introspection) (problem, fix string) {
	i := newIntrospector(o, slog.New(slog.DiscardHandler))
	defer i.client.CloseIdleConnections()
	_, err := i.introspect(ctx, probeToken)
	switch {
	case err == nil:
		return "", ""
	case errors.Is(err, errClientRefused):
		fix = "check AUTH_INTROSPECTION_CLIENT_ID and AUTH_INTROSPECTION_SECRET_FILE, and that this client may introspect tokens"
	default:
		fix = "check AUTH_INTROSPECTION_URL and AUTH_INTROSPECTION_SECRET_FILE, and that the server can be reached from here"
	}
	return err.Error() + ": callers with tokens that it checks get 503", fix
}

// introspected is an answer of the server. Claims has all its members.
type introspected struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope"`
	TokenType string   `json:"token_type"`
	TokenUse  string   `json:"token_use"`
	Expires   *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
	Claims    map[string]any
}

// introspect sends one request. Its errors mean that there is no answer, and contain no part
// of the token.
func (i *introspector) introspect(ctx context.Context, token string) (*introspected, error) {
	secret, err := i.options.Secret()
	if err != nil {
		return nil, fmt.Errorf("AUTH_INTROSPECTION_SECRET_FILE: %w", err)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.options.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.SetBasicAuth(url.QueryEscape(i.options.ClientID), url.QueryEscape(secret)) // RFC 6749, section 2.3.1
	answer, err := i.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if code := answer.StatusCode; code == http.StatusUnauthorized || code == http.StatusForbidden {
		return nil, fmt.Errorf("%w (status %d)", errClientRefused, code)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the introspection endpoint answers with status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxIntrospected))
	if err != nil {
		return nil, err
	}
	reply := &introspected{}
	if err := errors.Join(json.Unmarshal(body, reply), json.Unmarshal(body, &reply.Claims)); err != nil {
		return nil, errors.New("the answer of the introspection endpoint does not follow RFC 7662")
	}
	return reply, nil
}

// principal returns the principal in an answer, or why there is none.
func (i *introspector) principal(reply *introspected) (Principal, *envelope.Error) {
	now := float64(i.now().Unix())
	owner, _ := reply.Claims[i.options.OwnerClaim].(string)
	switch {
	case !reply.Active:
		return Principal{}, refused(inactive, "", "the introspection endpoint reports that it is not active")
	case reply.Claims["cnf"] != nil:
		return Principal{}, refused(notAccessToken, "", "it is bound to its holder (cnf), so it is not a bearer token")
	case reply.TokenUse != "" && reply.TokenUse != "access", !bearerType(reply.TokenType):
		return Principal{}, refused(notAccessToken, "", "token_use is %q and token_type is %q", clip(reply.TokenUse), clip(reply.TokenType))
	case reply.Expires != nil && *reply.Expires <= now:
		return Principal{}, refused(expiredToken, "", "exp is %v", *reply.Expires)
	case reply.NotBefore != nil && *reply.NotBefore > now+tokenLeeway.Seconds():
		return Principal{}, refused(tokenNotYet, "", "nbf is %v", *reply.NotBefore)
	case !ValidOwner(owner):
		return Principal{}, refused(noOwner, "", "no usable %s in the answer of the introspection endpoint", i.options.OwnerClaim)
	}
	p := Principal{Owner: owner, Read: true}
	if reply.Expires != nil {
		p.Expires = time.Unix(int64(min(*reply.Expires, latestExpiry)), 0)
	}
	p.addScopes(reply.Scope, i.options.ScopePrefix)
	return p, nil
}

// latestExpiry is the end of the year 9999, in seconds. A later time could not be represented.
const latestExpiry = 253402300799

// bearerType reports whether a token_type means a bearer token. Many servers leave it
// out.
func bearerType(name string) bool {
	return name == "" || strings.EqualFold(name, "Bearer") || strings.EqualFold(name, "access_token")
}
