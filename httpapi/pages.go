package httpapi

import (
	"net/http"

	"statuscache/httpapi/docs"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

// getPage is GET of a page of package docs.
func (s *Server) getPage(p *docs.Page) func(*exchange) error {
	return func(x *exchange) error {
		h := x.w.Header()
		h["Etag"] = p.ETag
		h["Cache-Control"] = envelope.PublicCache
		if p.Policy != nil {
			h["Content-Security-Policy"] = p.Policy
		}
		if p.Moved != nil {
			h["Location"] = p.Moved
			x.sendHead(http.StatusPermanentRedirect)
			return nil
		}
		if match, _ := headers.Matches(x.r.Header["If-None-Match"], p.ETag[0]); match {
			x.sendHead(http.StatusNotModified)
			return nil
		}
		x.send(http.StatusOK, p.ContentType, p.Body)
		return nil
	}
}
