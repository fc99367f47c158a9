package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"statuscache/httpapi/docs"
)

// document is the contract as others read it.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	return loader.LoadFromData(docs.OpenAPI)
})

// checkedBody is the body of an answer that conforms to the contract.
type checkedBody struct {
	operation *openapi3.Operation
	method    string
	status    int
	mediaType string
	size      int
	hash      uint64
}

// checkedBodies are not checked again: the library compiles the schema for each body, and three
// of four bodies were there before.
var (
	checkedBodies sync.Map
	bodySeed      = maphash.MakeSeed()
)

// conforms checks an answer against the contract. For a path that is not in the contract, it
// checks only the form of errors.
func conforms(r *http.Request, path string, got answer) error {
	doc, err := document()
	if err != nil {
		return err
	}
	name, execution := path, strings.TrimPrefix(path, statusPath)
	if execution != path {
		name = statusRoute
	} else if text, ok := decodedARN(&url.URL{Path: path}, "/v1/executions/", "/trail"); ok {
		name, execution = trailRoute, text
	} else if text, ok := decodedARN(&url.URL{Path: path}, "/v1/executions/", "/output"); ok {
		name, execution = outputRoute, text
	}
	if kind := got.header.Get("Content-Type"); strings.HasPrefix(kind, "text/event-stream") || got.status == http.StatusNoContent {
		name += "#stream" // an operation of its own
	}
	item := doc.Paths.Value(name)
	if item == nil {
		return nil
	}
	operation := item.GetOperation(r.Method)
	if operation == nil { // 405: as any other operation of the path says it
		operation = item.Get
		if operation == nil {
			operation = item.Post
		}
	}
	body := checkedBody{operation, r.Method, got.status, got.header.Get("Content-Type"), len(got.body), maphash.String(bodySeed, got.body)}
	_, checked := checkedBodies.Load(body)
	request := *r
	request.URL = &url.URL{Path: path, RawQuery: r.URL.RawQuery}
	input := &openapi3filter.RequestValidationInput{
		Request: &request, PathParams: map[string]string{"executionArn": execution},
		Route:   &routers.Route{Spec: doc, Path: name, PathItem: item, Method: r.Method, Operation: operation},
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: checked, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true},
	}
	if got.status == http.StatusOK && r.Method == http.MethodGet {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			return fmt.Errorf("the request was answered and is not in the contract: %w", err)
		}
	}
	header := got.header.Clone()
	if header.Get("Content-Encoding") == "gzip" {
		return nil // the plain form is checked elsewhere
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: got.status, Header: header, Options: input.Options,
		Body: io.NopCloser(bytes.NewReader([]byte(got.body))),
	})
	if err != nil {
		return err
	}
	checkedBodies.Store(body, true)
	if said := operation.Responses.Status(got.status); said != nil {
		for name, h := range said.Value.Headers { // the library leaves out answers without content
			if h.Value.Required && got.header.Get(name) == "" {
				return fmt.Errorf("the header %s is missing", name)
			}
		}
	}
	if got.status >= 400 && r.Method != http.MethodHead && got.header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("an error of type %q", got.header.Get("Content-Type"))
	}
	return nil
}

func init() { //nolint:gochecknoinits // decoders of content types are global in this library
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
}

func TestTheContractIsValid(t *testing.T) {
	t.Parallel()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAViolationOfTheContractIsFound is the control of all tests that send requests.
func TestAViolationOfTheContractIsFound(t *testing.T) {
	t.Parallel()
	const body = `{"success":true,"data":{"status":"RUNNING","executionArn":"x","startDate":"2026-02-10T12:00:00Z"}}`
	header := func(change ...string) http.Header {
		h := http.Header{
			"Content-Type": {"application/json"}, "Cache-Control": {"private, no-cache, no-transform"}, "X-Request-Id": {"x"},
			"Etag": {`"01770724800000-00000-1-2-0123456789abcdef"`},
		}
		for i := 0; i < len(change); i += 2 {
			if h.Set(change[i], change[i+1]); change[i+1] == "" {
				h.Del(change[i])
			}
		}
		return h
	}
	r, err := http.NewRequest(http.MethodGet, "http://x"+statusPath+"x", nil)
	if err != nil {
		t.Fatal(err)
	}
	post, err := http.NewRequest(http.MethodPost, "http://x/v1/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conforms(r, r.URL.Path, answer{200, header(), body}); err != nil {
		t.Fatalf("what is right is refused: %v", err)
	}
	full := strings.Replace(body, `"}}`, `","executionStatus":"RUNNING","name":"x","stateMachineArn":"x","attempt":1,"error":null,"observedAt":"2026-02-10T12:00:00.000Z","source":"event","version":"01770724800000-00000-1-2"}}`, 1)
	if err := conforms(r, r.URL.Path, answer{200, header(), full}); err != nil {
		t.Fatalf("the full view is refused: %v", err)
	}
	for name, got := range map[string]answer{
		"a key is missing":       {200, header(), strings.Replace(body, `,"startDate":"2026-02-10T12:00:00Z"`, "", 1)},
		"a key too many":         {200, header(), strings.Replace(body, `}}`, `,"x":1}}`, 1)},
		"half of the full view":  {200, header(), strings.Replace(full, `"attempt":1,`, "", 1)},
		"a wrong type":           {200, header(), strings.Replace(body, `"x"`, `7`, 1)},
		"an unknown word":        {200, header(), strings.Replace(body, `RUNNING`, `PENDING`, 1)},
		"a fraction of a second": {200, header(), strings.Replace(body, `00Z`, `00.1Z`, 1)},
		"an unknown status":      {418, header(), body},
		"an error as success":    {200, header(), `{"success":false,"error":{"code":"NotFound","message":"m"}}`},
		"another error's code":   {403, header(), `{"success":false,"error":{"code":"NotFound","message":"m"}}`},
		"404 without a delay":    {404, header(), `{"success":false,"error":{"code":"NotFound","message":"m"}}`},
		"304 without a tag":      {304, header("Etag", ""), ""},
		"a tag of another form":  {200, header("Etag", "W/\"x\""), body},
		"no request id":          {200, header("X-Request-Id", ""), body},
		"another content type":   {200, header("Content-Type", "text/plain"), body},
	} {
		if err := conforms(r, r.URL.Path, got); err == nil {
			t.Errorf("%s: not seen", name)
		}
	}
	if err := conforms(post, "/v1/wait", answer{200, header(), `{"success":true,"data":{"done":1,"results":[]}}`}); err == nil {
		t.Error("a wrong type in another route: not seen")
	}
}

// TestEveryRouteIsInTheContract compares the routes with the contract.
func TestEveryRouteIsInTheContract(t *testing.T) {
	t.Parallel()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	routes := New(Options{}).routeTable()
	for path, rt := range routes {
		item := doc.Paths.Value(path)
		if item == nil {
			if !strings.HasPrefix(path, "/docs/") && !strings.HasPrefix(path, "/dashboard/") {
				t.Errorf("%s is not in the contract", path)
			}
			continue
		}
		for _, method := range rt.methods {
			if item.GetOperation(method) == nil {
				t.Errorf("%s %s is not in the contract", method, path)
			}
		}
		if len(item.Operations()) != len(rt.methods) {
			t.Errorf("%s: the contract has other methods than %v", path, rt.methods)
		}
	}
	for path := range doc.Paths.Map() {
		path, _, _ = strings.Cut(path, "#")
		if routes[path] == nil {
			t.Errorf("%s is in the contract and not served", path)
		}
	}
}
