package httpapi

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

func TestDocs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	size := 0
	for path, kind := range map[string]string{
		"/docs": "text/html", "/docs/docs.css": "text/css", "/docs/docs.js": "text/javascript",
		"/openapi.yaml": "application/yaml", "/openapi.json": "application/json",
	} {
		got := s.ask("GET", path, "")
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		if again := s.ask("GET", path, "", header("If-None-Match", got.header.Get("ETag"))); again.status != 304 {
			t.Errorf("%s again: %d", path, again.status)
		}
		if strings.HasPrefix(path, "/docs") {
			size += zipped(t, got.body)
		}
	}
	if size > 60_000 {
		t.Errorf("the page takes %d bytes", size)
	}
	if moved := s.ask("GET", "/docs/", ""); moved.status != 308 || moved.header.Get("Location") != "../docs" {
		t.Errorf("/docs/: %d, Location %q", moved.status, moved.header.Get("Location"))
	}
	html := s.ask("GET", "/docs", "")
	for _, shown := range []string{
		"<code>data.errorMessage</code>", "<code>data.output</code>", "<code>data.results[].error.code</code>", // answers
		"<code>executionArns</code>", "<code>owner</code>", // requests
		"Authorization: Bearer", "text/event-stream", "followExecutions", "no token needed",
	} {
		if !strings.Contains(html.body, shown) {
			t.Errorf("the page does not show %s", shown)
		}
	}
	if policy := html.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, outside := range regexp.MustCompile(`(?:src|href)="([^"#]*)"`).FindAllStringSubmatch(html.body, -1) {
		if target := outside[1]; strings.Contains(target, "//") || strings.HasPrefix(target, "/") {
			t.Errorf("the page requests %s, which fails below a prefix or outside", target)
		}
	}
	if strings.Contains(html.body, "<script>") || strings.Contains(html.body, "style=") {
		t.Error("something is inline, which the policy forbids")
	}
	for name, languages := range samples(t) {
		if strings.Count(html.body, `id="sample-`+name+`-`) != len(languages) {
			t.Errorf("samples of %s", name)
		}
	}
}

// samples returns the files of package docs that show how to call the API, by what
// they show.
func samples(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("docs/samples/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	all := map[string][]string{}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		all[name] = append(all[name], file)
	}
	return all
}

func zipped(t *testing.T, text string) int {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

// TestSamplesAreWellFormed checks each sample with a tool of its language.
func TestSamplesAreWellFormed(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "go vet, bash and node")
	tsc := []string{"node_modules/.bin/tsc", "--strict", "--skipLibCheck", "--noEmit", "--target", "esnext", "--lib", "dom,dom.iterable,esnext"}
	for name, files := range samples(t) {
		if len(files) != 4 {
			t.Errorf("%s is not shown in every language: %v", name, files)
		}
		for _, file := range files {
			switch {
			case strings.HasSuffix(file, ".sh"):
				checkSample(t, file, "bash", "-n", file)
			case strings.HasSuffix(file, ".ts"):
				tsc = append(tsc, filepath.Join("..", "..", "httpapi", file))
			}
		}
	}
	runClient(t, nil, tsc[0], tsc[1:]...)
	checkSample(t, "the samples in Go", "go", append(append([]string{"vet", "-C", goModule(t)}, cachetest.BuildFlags()...), "./...")...)
}

// goModule writes the samples in Go into a module beside this one, and returns its folder. go
// vet checks all of them in one run, but only in folders that exist.
func goModule(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	write("go.mod", []byte("module samples\n\ngo 1.26.0\n"))
	write("go.work", []byte("go 1.26.0\n\nuse .\nuse "+strconv.Quote(root)+"\n")) // they import the client
	for name := range samples(t) {
		text, err := os.ReadFile(filepath.Join("docs", "samples", name+".go.txt"))
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, name), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(name, "main.go"), text)
	}
	return dir
}

func checkSample(t *testing.T, file, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", file, err, out)
	}
}
