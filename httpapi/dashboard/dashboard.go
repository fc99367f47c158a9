package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
)

//go:embed index.html style.css icon.svg *.js
var embedded embed.FS

// Options are what the page must know about its service.
type Options struct {
	// Dir is a folder from which the files are read at each request, for people who change
	// them; empty: the embedded files are used.
	Dir      string
	Version  string
	Issuer   string // of access tokens
	ClientID string // of the dashboard at the issuer; empty: users can sign in only with a key
}

// Dashboard has the files of the page. It is safe for concurrent use.
type Dashboard struct {
	options Options
	release string
	index   *File
	files   map[string]*File       // by name; nil: all are read at each request
	tokens  atomic.Pointer[string] // origin of the issuer's token endpoint; nil: not known yet
}

// File is a file as it is served.
type File struct {
	ContentType []string
	ETag        []string
	Body        []byte
	// Gzip returns the compressed body; nil: it would not be shorter. The first call
	// compresses it. Compressing all files takes longer than the rest of the start of a
	// process, and most processes never serve them.
	Gzip func() []byte
	// Lasts reports whether the URL of the file changes with its content, so that a browser
	// may keep the file.
	Lasts bool
}

// unreleased is the release in the URLs of files that may change at any time.
const unreleased = "dev"

// New reads the files.
func New(o Options) (*Dashboard, error) {
	d := &Dashboard{options: o, release: unreleased}
	if o.Dir != "" {
		_, err := d.render(os.DirFS(o.Dir))
		return d, err
	}
	files, sum, err := readAll(embedded)
	if err != nil {
		return nil, err
	}
	d.release = sum
	d.files = files
	d.index, err = d.render(embedded)
	return d, err
}

const indexName = "index.html"

// readAll reads every file that the page loads, and a hash of them all.
func readAll(from fs.FS) (files map[string]*File, sum string, err error) {
	names, err := assets(from)
	if err != nil {
		return nil, "", err
	}
	files = map[string]*File{}
	hash := sha256.New()
	for _, name := range names {
		body, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, "", err
		}
		files[name] = newFile(name, body)
		files[name].Lasts = true
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", name, len(body), body) // a hash does not fail
	}
	return files, hex.EncodeToString(hash.Sum(nil)[:6]), nil
}

// assets returns the names of the files that the page loads, in a fixed order.
func assets(from fs.FS) ([]string, error) {
	var names []string
	for _, pattern := range []string{"*.css", "*.svg", "*.js"} {
		found, err := fs.Glob(from, pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

// Index is the page.
func (d *Dashboard) Index() (*File, error) {
	if d.files == nil {
		return d.render(os.DirFS(d.options.Dir))
	}
	return d.index, nil
}

// Asset returns a file that the page loads. During an update, a page from a replica with
// another release gets the file of this release. A browser must not keep it as a file of the
// other release. The error is fs.ErrNotExist for an unknown name.
func (d *Dashboard) Asset(release, name string) (*File, error) {
	if types[path.Ext(name)] == nil || name == indexName {
		return nil, fs.ErrNotExist
	}
	if d.files == nil {
		body, err := fs.ReadFile(os.DirFS(d.options.Dir), name) // refuses names that lead out of the folder
		if err != nil {
			return nil, fs.ErrNotExist
		}
		return newFile(name, body), nil
	}
	file, found := d.files[name]
	switch {
	case !found:
		return nil, fs.ErrNotExist
	case release != d.release:
		other := *file
		other.Lasts = false
		return &other, nil
	}
	return file, nil
}

// page is what the template of the page shows.
type page struct {
	Release, Version, Issuer, ClientID string
	Modules                            []string
}

// render makes the page. The page names the modules that every view needs, so that the
// browser loads them all at once. Otherwise it would find them one after the other.
func (d *Dashboard) render(from fs.FS) (*File, error) {
	t, err := template.ParseFS(from, indexName)
	if err != nil {
		return nil, err
	}
	names, err := assets(from)
	if err != nil {
		return nil, err
	}
	p := page{Release: d.release, Version: d.options.Version, Issuer: d.options.Issuer, ClientID: d.options.ClientID}
	for _, name := range names {
		if path.Ext(name) == ".js" && !unlisted[name] {
			p.Modules = append(p.Modules, name)
		}
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, err
	}
	return newFile(indexName, b.Bytes()), nil
}

// unlisted are the modules that only some views need. api.js preloads those of the first view.
var unlisted = map[string]bool{
	"signin.js": true, "health.js": true, "overview.js": true, "chart.js": true,
	"executions.js": true, "rows.js": true, "table.js": true, "execution.js": true, "output.js": true,
}

var types = map[string][]string{
	".html": {"text/html; charset=utf-8"},
	".css":  {"text/css; charset=utf-8"},
	".js":   {"text/javascript; charset=utf-8"},
	".svg":  {"image/svg+xml"},
}

func newFile(name string, body []byte) *File {
	sum := sha256.Sum256(body)
	return &File{
		ContentType: types[path.Ext(name)], Body: body, ETag: []string{`"` + hex.EncodeToString(sum[:8]) + `"`},
		Gzip: sync.OnceValue(func() []byte { return compress(body) }),
	}
}

// compress returns nil if the compressed body is not shorter.
func compress(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	_, _ = w.Write(body)                                  // a bytes.Buffer does not fail
	_ = w.Close()
	if b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}
