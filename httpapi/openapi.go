package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v4"
)

//go:embed openapi.yaml
var openapiYAML []byte

// page is something that is served as it stands, to everybody.
type page struct {
	contentType []string
	body        []byte
	etag        []string
	policy      []string // Content-Security-Policy; nil: none
	moved       []string // Location of the page that is meant; nil: this one
}

func newPage(contentType string, body []byte) *page {
	sum := sha256.Sum256(body)
	return &page{contentType: []string{contentType}, body: body, etag: []string{`"` + hex.EncodeToString(sum[:8]) + `"`}}
}

var shortly = []string{"public, max-age=300"}

// serve is GET of the page.
func (p *page) serve(x *exchange) error {
	h := x.w.Header()
	h["Etag"] = p.etag
	h["Cache-Control"] = shortly
	if p.policy != nil {
		h["Content-Security-Policy"] = p.policy
	}
	if p.moved != nil {
		h["Location"] = p.moved
		x.status = http.StatusPermanentRedirect
		x.w.WriteHeader(x.status)
		return nil
	}
	if match, _ := matches(x.r.Header["If-None-Match"], p.etag[0]); match {
		x.status = http.StatusNotModified
		x.w.WriteHeader(x.status)
		return nil
	}
	x.send(http.StatusOK, p.contentType, p.body)
	return nil
}

// pages returns what is served as it stands, by path. It is all part of the
// program, and tests look at every page, so that none is malformed.
func pages() map[string]*page {
	var document map[string]any
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err))
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err))
	}
	html, css, js, err := docs(document)
	if err != nil {
		panic(fmt.Errorf("docs: %w", err))
	}
	return map[string]*page{
		"/openapi.yaml": newPage("application/yaml", openapiYAML), "/openapi.json": newPage("application/json", asJSON),
		"/docs": html, "/docs/docs.css": css, "/docs/docs.js": js,
		"/docs/": {moved: []string{"../docs"}, etag: []string{""}}, // relative, for a service below a path
	}
}
