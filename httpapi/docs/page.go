package docs

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

//go:embed docs.html docs.css docs.js samples
var files embed.FS

// policy lets the page load its own style and script, and nothing else.
var policy = []string{"default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}

// pageData is the data for the template of /docs.
type pageData struct {
	Title, Summary string
	Description    []string // paragraphs
	Authentication string
	Operations     []operation
}

type operation struct {
	ID, Method, Class, Path, Summary string
	Description                      []string
	Open                             bool // needs no token
	Parameters, Responses            []entry
	RequestType, AnswerType          string  // media types; empty: no body
	Request, Answer                  []field // of the body
	Samples                          []sample
}

type entry struct{ Name, In, Description string }

type sample struct {
	ID, Language, Text string
	Open               bool
}

// shownOperations are the operations on the page, in their order, with their samples.
var shownOperations = []struct{ operation, samples string }{
	{"getStatus", "status"}, {"followStatus", "stream"}, {"getStatuses", "batch"}, {"waitForExecutions", "wait"},
	{"listExecutions", "list"}, {"followExecutions", ""}, {"createLink", "link"}, {"fetchOutput", "output"}, {"registerExecution", "register"}, {"listFailures", "failures"}, {"listDurations", ""}, {"getOverview", ""}, {"followOverview", ""}, {"explainStatus", ""}, {"getHealth", ""},
}

var languages = []struct{ name, suffix string }{{"curl", ".sh"}, {"Go", ".go.txt"}, {"Python", ".py"}, {"TypeScript", ".ts"}}

// render renders the contract as a page, with the files that the page loads.
func render(document map[string]any) (html, css, js *Page, err error) {
	d := reader{root: document}
	info := object(document["info"])
	shown := pageData{
		Title: text(info["title"]), Summary: text(info["summary"]), Description: paragraphs(text(info["description"])),
		Authentication: text(d.at("components/securitySchemes/token")["description"]),
	}
	for _, each := range shownOperations {
		o, err := d.operation(each.operation)
		if err != nil {
			return nil, nil, nil, err
		}
		if o.Samples, err = samples(each.samples); err != nil {
			return nil, nil, nil, err
		}
		shown.Operations = append(shown.Operations, o)
	}
	t, err := template.New("docs.html").Funcs(template.FuncMap{"marked": marked}).ParseFS(files, "docs.html")
	if err != nil {
		return nil, nil, nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, shown); err != nil {
		return nil, nil, nil, err
	}
	style, err1 := files.ReadFile("docs.css")
	script, err2 := files.ReadFile("docs.js")
	html = newPage("text/html; charset=utf-8", b.Bytes())
	html.Policy = policy
	return html, newPage("text/css; charset=utf-8", style), newPage("text/javascript; charset=utf-8", script), cmp.Or(err1, err2)
}

func samples(name string) ([]sample, error) {
	if name == "" {
		return nil, nil
	}
	var all []sample
	for i, language := range languages {
		b, err := files.ReadFile("samples/" + name + language.suffix)
		if err != nil {
			return nil, err
		}
		all = append(all, sample{"sample-" + name + "-" + strings.ToLower(language.name), language.name, string(b), i == 0})
	}
	return all, nil
}

// reader reads an OpenAPI document.
type reader struct{ root map[string]any }

// operation finds an operation by its id.
func (d reader) operation(id string) (operation, error) {
	for path, item := range object(d.root["paths"]) {
		for method, value := range object(item) {
			o := object(value)
			if text(o["operationId"]) != id {
				continue
			}
			path, _, _ = strings.Cut(path, "#")
			shown := operation{
				ID: id, Method: strings.ToUpper(method), Class: method, Path: path,
				Summary: text(o["summary"]), Description: paragraphs(text(o["description"])),
				Open: o["security"] != nil && len(list(o["security"])) == 0,
			}
			shown.RequestType, shown.Request = d.body(object(o["requestBody"]))
			responses := object(o["responses"])
			shown.AnswerType, shown.Answer = d.body(d.resolve(cmp.Or(responses["200"], responses["201"])))
			for _, p := range slices.Concat(list(object(item)["parameters"]), list(o["parameters"])) {
				p := d.resolve(p)
				shown.Parameters = append(shown.Parameters, entry{text(p["name"]), text(p["in"]), text(p["description"])})
			}
			for status, response := range responses {
				shown.Responses = append(shown.Responses, entry{Name: status, Description: text(d.resolve(response)["description"])})
			}
			slices.SortFunc(shown.Responses, func(a, b entry) int { return cmp.Compare(a.Name, b.Name) })
			return shown, nil
		}
	}
	return operation{}, fmt.Errorf("openapi.yaml has no operation %s", id)
}

// resolve follows a reference within the document.
func (d reader) resolve(value any) map[string]any {
	o := object(value)
	reference, found := strings.CutPrefix(text(o["$ref"]), "#/")
	if !found {
		return o
	}
	return d.at(reference)
}

// at returns the node at a path of names.
func (d reader) at(path string) map[string]any {
	o := d.root
	for name := range strings.SplitSeq(path, "/") {
		o = object(o[name])
	}
	return o
}

func object(value any) map[string]any {
	o, _ := value.(map[string]any)
	return o
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// marked returns a text as HTML, with the parts between backquotes as code.
func marked(s string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String()) //nolint:gosec // each part is escaped
}

func paragraphs(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSpace(s), "\n\n")
}
