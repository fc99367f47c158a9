package httpapi

import (
	"net/http"

	"github.com/gorilla/mux"

	"statuscache/httpapi/dashboard"
	"statuscache/httpapi/docs"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

// getPage serves a page of package docs.
func getPage(path string) func(*exchange) error {
	return func(x *exchange) error {
		p, h := docs.Pages()[path], x.w.Header()
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

// addDashboard adds the routes of the dashboard. All URLs in its page are relative, so that
// a proxy may serve it below a path.
func (s *Server) addDashboard(routes map[string]*route) {
	d := s.options.Dashboard
	if d == nil {
		return
	}
	get := []string{http.MethodGet, http.MethodHead}
	routes["/"] = s.openRoute("/", func(x *exchange) error {
		file, err := d.Index()
		if err != nil {
			return envelope.Internal(err)
		}
		h := x.w.Header()
		h["Content-Security-Policy"] = []string{d.Policy()}
		h["Referrer-Policy"] = envelope.NoReferrer
		h["Cross-Origin-Opener-Policy"] = sameOrigin
		x.sendFile(file)
		return nil
	}, get...)
	routes["/dashboard/{release}/{file}"] = s.openRoute("/dashboard/*", func(x *exchange) error {
		vars := mux.Vars(x.r)
		file, err := d.Asset(vars["release"], vars["file"])
		if err != nil {
			return envelope.NotFound("there is nothing at this path")
		}
		x.sendFile(file)
		return nil
	}, get...)
}

var (
	sameOrigin = []string{"same-origin"}
	revalidate = []string{"no-cache"}
	forAYear   = []string{"public, max-age=31536000, immutable"}
)

// sendFile answers with a file of the dashboard.
func (x *exchange) sendFile(f *dashboard.File) {
	h := x.w.Header()
	h["Etag"] = f.ETag
	h["Vary"] = append(h["Vary"], envelope.VaryEncoding...) // CORS may have set it too
	h["Cache-Control"] = revalidate
	if f.Lasts {
		h["Cache-Control"] = forAYear
	}
	if match, _ := headers.Matches(x.r.Header["If-None-Match"], f.ETag[0]); match {
		x.sendHead(http.StatusNotModified)
		return
	}
	body := f.Body
	if headers.AcceptsGzip(x.r.Header["Accept-Encoding"]) {
		if zipped := f.Gzip(); zipped != nil {
			h["Content-Encoding"] = envelope.GzipCoding
			body = zipped
		}
	}
	x.send(http.StatusOK, f.ContentType, body)
}
