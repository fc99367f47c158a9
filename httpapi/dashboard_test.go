package httpapi

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
	"statuscache/httpapi/dashboard"
)

// withDashboard serves the dashboard.
func withDashboard(t *testing.T, do dashboard.Options) func(*Options) {
	t.Helper()
	d, err := dashboard.New(do)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Dashboard = d }
}

var loaded = regexp.MustCompile(`(?:src|href)="([^"#][^"]*)"`)

// TestTheDashboardIsServed follows what its page loads: each file is there, of the right
// type and not changed on the way.
func TestTheDashboardIsServed(t *testing.T) {
	t.Parallel()
	s := newService(t, withDashboard(t, dashboard.Options{Version: "1.2.3"}))
	page := s.ask("GET", "/", "")
	if page.status != 200 || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || page.header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("%d %v", page.status, page.header)
	}
	if again := s.ask("GET", "/", "", header("If-None-Match", page.header.Get("ETag"))); again.status != 304 {
		t.Errorf("again: %d", again.status)
	}
	files := 0
	for _, found := range loaded.FindAllStringSubmatch(page.body, -1) {
		name := found[1]
		if strings.HasPrefix(name, "/") || strings.Contains(name, "//") {
			t.Errorf("%s fails below a path prefix, or is elsewhere", name)
		}
		if !strings.HasPrefix(name, "dashboard/") {
			continue
		}
		files++
		got := s.ask("GET", "/"+name, "", header("Accept-Encoding", "identity"))
		want, err := os.ReadFile(filepath.Join("dashboard", filepath.Base(name)))
		if err != nil || got.status != 200 || got.body != string(want) {
			t.Errorf("%s: %d, %d bytes of %d, %v", name, got.status, len(got.body), len(want), err)
		}
		if cached := got.header.Get("Cache-Control"); !strings.Contains(cached, "immutable") {
			t.Errorf("%s: Cache-Control %q", name, cached)
		}
		zipped := s.ask("GET", "/"+name, "", header("Accept-Encoding", "gzip"))
		if zipped.header.Get("Content-Encoding") != "gzip" && len(want) > 1000 || zipped.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Content-Encoding %q, Vary %q", name, zipped.header.Get("Content-Encoding"), zipped.header.Get("Vary"))
		}
	}
	if files < 10 {
		t.Errorf("the page names %d files", files)
	}
}

var (
	imported  = regexp.MustCompile(`(?:from |import\()"\./([a-z]+\.js)"`)
	preloaded = regexp.MustCompile(`rel="modulepreload" href="dashboard/[^/]+/([a-z]+\.js)"`)
)

// TestThePagePreloadsWhatTheFirstRowsNeed: the page names all modules that its modules import,
// so that the browser need not find them one by one. Modules that are loaded on demand are left
// out.
func TestThePagePreloadsWhatTheFirstRowsNeed(t *testing.T) {
	t.Parallel()
	s := newService(t, withDashboard(t, dashboard.Options{}))
	early := map[string]bool{}
	for _, found := range preloaded.FindAllStringSubmatch(s.ask("GET", "/", "").body, -1) {
		early[found[1]] = true
	}
	modules, err := filepath.Glob("dashboard/*.js")
	if err != nil || len(modules) == 0 || !early["app.js"] {
		t.Fatal(modules, early, err)
	}
	wanted := map[string]bool{"app.js": true}
	for _, module := range modules {
		text, err := os.ReadFile(module)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range imported.FindAllStringSubmatch(string(text), -1) {
			wanted[found[1]] = true
			if strings.HasPrefix(found[0], "from") && early[filepath.Base(module)] && !early[found[1]] {
				t.Errorf("%s is preloaded, but %s, which it imports, is not", module, found[1])
			}
		}
	}
	for _, module := range modules {
		if !wanted[filepath.Base(module)] {
			t.Errorf("nothing imports %s", module)
		}
	}
}

var (
	viewModules = regexp.MustCompile(`\["v1/[^"]+", ("[a-z]+"(?:, "[a-z]+")*)\]`)
	eachName    = regexp.MustCompile(`"([a-z]+)"`)
)

// TestEachViewPreloadsWhatItImports: api.js names every module of the first view that the page
// does not preload.
func TestEachViewPreloadsWhatItImports(t *testing.T) {
	t.Parallel()
	page := newService(t, withDashboard(t, dashboard.Options{})).ask("GET", "/", "").body
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("dashboard", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	views := viewModules.FindAllStringSubmatch(read("api.js"), -1)
	if len(views) < 2 {
		t.Fatalf("api.js names the modules of %d views", len(views))
	}
	for _, view := range views {
		early := map[string]bool{}
		for _, found := range preloaded.FindAllStringSubmatch(page, -1) {
			early[found[1]] = true
		}
		names := eachName.FindAllStringSubmatch(view[1], -1)
		for _, name := range names {
			early[name[1]+".js"] = true
		}
		for _, name := range names {
			for _, found := range imported.FindAllStringSubmatch(read(name[1]+".js"), -1) {
				if strings.HasPrefix(found[0], "from") && !early[found[1]] {
					t.Errorf("the view of %s does not preload %s", names[0][1], found[1])
				}
			}
		}
	}
}

// TestThePolicyOfTheDashboardAllowsNothingElse: neither does the page contain anything that its
// policy forbids.
func TestThePolicyOfTheDashboardAllowsNothingElse(t *testing.T) {
	t.Parallel()
	s := newService(t, withDashboard(t, dashboard.Options{Version: `<script>"`}))
	page := s.ask("GET", "/", "")
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") ||
		!strings.Contains(policy, "connect-src 'self';") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	if page.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("Referrer-Policy %q", page.header.Get("Referrer-Policy"))
	}
	for _, inline := range []string{"<script>", "<style", " style=", " onclick=", "javascript:"} {
		if strings.Contains(page.body, inline) {
			t.Errorf("%s is in the page", inline)
		}
	}
	issuer := dashboard.Options{Issuer: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc", ClientID: "web"}
	s = newService(t, withDashboard(t, issuer))
	policy = s.ask("GET", "/", "").header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self' https://cognito-idp.eu-west-1.amazonaws.com https://*.auth.eu-west-1.amazoncognito.com;") {
		t.Errorf("policy with an issuer %q", policy)
	}
	issuer.ClientID = ""
	s = newService(t, withDashboard(t, issuer))
	if policy := s.ask("GET", "/", "").header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self';") {
		t.Errorf("policy without a client %q", policy)
	}
}

// TestTheDashboardIsSmall adds up what a browser has to load.
func TestTheDashboardIsSmall(t *testing.T) {
	t.Parallel()
	const most = 60_000
	size := 0
	err := filepath.WalkDir("dashboard", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") || strings.Contains(path, "screenshots") {
			return err
		}
		text, err := os.ReadFile(path)
		size += zipped(t, string(text))
		return err
	})
	if err != nil || size == 0 || size > most {
		t.Errorf("the dashboard takes %d bytes, at most %d; %v", size, most, err)
	}
}

// TestAFileOfAnotherReleaseIsNotKept: a page that another replica served gets its files, but
// no cache keeps them as those of the other release.
func TestAFileOfAnotherReleaseIsNotKept(t *testing.T) {
	t.Parallel()
	s := newService(t, withDashboard(t, dashboard.Options{}))
	got := s.ask("GET", "/dashboard/000000000000/app.js", "")
	if got.status != 200 || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v", got.status, got.header)
	}
	for _, path := range []string{"/dashboard/x/none.js", "/dashboard/x/dashboard.go", "/dashboard/x/..%2fdoc.go", "/dashboard/x/index.html", "/dashboard/app.js", "/dashboard/"} {
		if got := s.ask("GET", path, ""); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := s.ask("POST", "/", ""); got.status != 405 {
		t.Errorf("POST: %d", got.status)
	}
}

func TestWithoutTheDashboardItsRoutesAre404(t *testing.T) {
	t.Parallel()
	if got := newService(t).ask("GET", "/", ""); got.status != 404 {
		t.Errorf("%d", got.status)
	}
}

// TestTheDashboardFromAFolder: a changed file is served at the next request, and a file outside
// of the folder never.
func TestTheDashboardFromAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("index.html", "{{range .Modules}}{{.}} {{end}}")
	write("app.js", "1")
	s := newService(t, withDashboard(t, dashboard.Options{Dir: dir}))
	write("app.js", "2")
	write("other.js", "3")
	if page := s.ask("GET", "/", ""); page.body != "app.js other.js " {
		t.Errorf("the page is %q", page.body)
	}
	if got := s.ask("GET", "/dashboard/dev/app.js", ""); got.body != "2" || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%q %v", got.body, got.header)
	}
	if got := s.ask("GET", "/dashboard/dev/..%2f..%2f..%2fetc%2fhosts.js", ""); got.status != 404 {
		t.Errorf("outside: %d", got.status)
	}
	if _, err := dashboard.New(dashboard.Options{Dir: filepath.Join(dir, "none")}); err == nil {
		t.Error("a folder that does not exist is no error")
	}
}

// TestThePageMayFetchTokensWhereTheIssuerGivesThem: also on another host, which only the
// configuration of the issuer names. It may not fetch them from a URL that is less safe than
// the issuer or that is not an origin.
func TestThePageMayFetchTokensWhereTheIssuerGivesThem(t *testing.T) {
	t.Parallel()
	for endpoint, allowed := range map[string]string{
		"https://tokens.example.net:8443/oauth2/token?x=1": " https://tokens.example.net:8443;",
		"ISSUER/token":                          ";",
		"javascript:alert(1)":                   ";",
		"https://a.example;script-src%20*/x":    ";",
		"https://a.example; script-src */token": ";",
	} {
		var issuer *httptest.Server
		asked := make(chan struct{}, 100)
		issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/.well-known/openid-configuration" {
				_, _ = fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q}`, issuer.URL, strings.Replace(endpoint, "ISSUER", issuer.URL, 1))
				asked <- struct{}{}
			}
		}))
		t.Cleanup(issuer.Close)
		s := newService(t, withDashboard(t, dashboard.Options{Issuer: issuer.URL, ClientID: "web"}))
		<-asked
		want := "connect-src 'self' " + issuer.URL + allowed
		cachetest.Eventually(t, endpoint+": the policy says "+want, func() bool {
			return strings.Contains(s.ask("GET", "/", "").header.Get("Content-Security-Policy"), want)
		})
	}
}

// TestADocumentOfAnotherIssuerIsRefused, nor one that answers with an error.
func TestADocumentOfAnotherIssuerIsRefused(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many seconds")
	for name, answer := range map[string]string{
		"another":   `{"issuer":"https://other.example","token_endpoint":"https://tokens.example.net/token"}`,
		"not JSON":  `{"issuer":`,
		"no tokens": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{}, 100)
			issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, answer)
				asked <- struct{}{}
			}))
			t.Cleanup(issuer.Close)
			s := newService(t, withDashboard(t, dashboard.Options{Issuer: issuer.URL, ClientID: "web"}))
			<-asked
			<-asked // the first answer has been looked at
			if policy := s.ask("GET", "/", "").header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' "+issuer.URL+";") {
				t.Errorf("%s: %s", name, policy)
			}
		})
	}
}
