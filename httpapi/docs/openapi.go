package docs

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v4"
)

// OpenAPI is the contract of the API.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Page is a static document. It needs no token.
type Page struct {
	ContentType []string
	Body        []byte
	ETag        []string
	Policy      []string // Content-Security-Policy; nil: none
	Moved       []string // Location of the page to redirect to; nil: this is the page
}

func newPage(contentType string, body []byte) *Page {
	sum := sha256.Sum256(body)
	return &Page{ContentType: []string{contentType}, Body: body, ETag: []string{`"` + hex.EncodeToString(sum[:8]) + `"`}}
}

// Paths are the paths of all pages.
var Paths = []string{"/openapi.yaml", "/openapi.json", "/docs", "/docs/docs.css", "/docs/docs.js", "/docs/"}

// Pages returns all pages by path. They are rendered for the first request, because this would
// be most of what a program has to do when it starts. They are embedded, and tests read every
// page, so that none is malformed.
var Pages = sync.OnceValue(func() map[string]*Page {
	var document map[string]any
	if err := yaml.Unmarshal(OpenAPI, &document); err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err))
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err))
	}
	html, css, js, err := render(document)
	if err != nil {
		panic(fmt.Errorf("docs: %w", err))
	}
	return map[string]*Page{
		"/openapi.yaml": newPage("application/yaml", OpenAPI), "/openapi.json": newPage("application/json", asJSON),
		"/docs": html, "/docs/docs.css": css, "/docs/docs.js": js,
		"/docs/": {Moved: []string{"../docs"}, ETag: []string{""}}, // relative, for a service below a path
	}
})
