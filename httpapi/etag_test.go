package httpapi

import (
	"strings"
	"testing"
)

// madeByFronts are the forms that proxies give to a tag.
var madeByFronts = map[string]func(tag string) string{
	"nothing":               func(tag string) string { return tag },
	"Apache's deflate":      suffixed("-gzip"),
	"Apache's old form":     suffixed(";gzip"),
	"Apache's brotli":       suffixed("-br"),
	"zstd":                  suffixed("-zstd"),
	"Jetty":                 suffixed("--gzip"),
	"lighttpd":              suffixed("-deflate"),
	"upper case":            suffixed("-GZIP"),
	"an old name":           suffixed("-x-gzip"),
	"a colon":               suffixed(":gzip"),
	"a dot":                 suffixed(".br"),
	"an underscore":         suffixed("_zstd"),
	"a slash":               suffixed("/gzip"),
	"two fronts":            suffixed("-gzip-br"),
	"nginx":                 func(tag string) string { return "W/" + tag },
	"nginx and Apache":      func(tag string) string { return "W/" + suffixed("-gzip")(tag) },
	"in a list":             func(tag string) string { return `"x", ` + suffixed("-gzip")(tag) + `, W/"y"` },
	"in a list with spaces": func(tag string) string { return "\"x\" ,\t" + suffixed("-br")(tag) + " " },
}

func suffixed(suffix string) func(tag string) string {
	return func(tag string) string { return strings.TrimSuffix(tag, `"`) + suffix + `"` }
}

// notOurs are tags that look like one of ours but are not.
var notOurs = map[string]func(tag string) string{
	"an unknown suffix":   suffixed("-full"),
	"another version":     func(tag string) string { return suffixed("-gzip")(`"x` + tag[2:]) },
	"a longer hash":       suffixed("0-gzip"),
	"a part":              func(tag string) string { return tag[:8] + `-gzip"` },
	"no quotes":           func(tag string) string { return strings.Trim(tag, `"`) + "-gzip" },
	"no closing quote":    func(tag string) string { return strings.TrimSuffix(tag, `"`) + "-gzip" },
	"nothing but codings": func(string) string { return `"-gzip"` },
	"w in lower case":     func(tag string) string { return "w/" + tag },
}

func TestATagWithTheSuffixOfAProxyStillMatches(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	small, large := running(t, "small", "ada"), succeeded(t, "large", "ada", `"`+strings.Repeat("x", 5000)+`"`)
	s.apply(small, large)
	for _, each := range []struct{ target, coding string }{
		{statusPath + string(small.ARN), ""}, {statusPath + string(small.ARN) + "?view=full", ""},
		{statusPath + string(large.ARN), "br"}, {statusPath + string(large.ARN), "gzip"}, {"/docs/docs.css", ""},
	} {
		ask := func(tag string) answer {
			return s.ask("GET", each.target, ada, header("Accept-Encoding", each.coding), header("If-None-Match", tag))
		}
		tag := ask("").header.Get("ETag")
		for front, changed := range madeByFronts {
			if got := ask(changed(tag)); got.status != 304 || got.body != "" || got.header.Get("ETag") == "" {
				t.Errorf("%v, %s: %d for %s", each, front, got.status, changed(tag))
			}
		}
		for what, changed := range notOurs {
			if got := ask(changed(tag)); got.status != 200 {
				t.Errorf("%v, %s: %d for %s", each, what, got.status, changed(tag))
			}
		}
	}
}

// TestALongPollAcceptsTheTagOfAProxy: a request with such a tag waits like any other, as a long
// poll and for a set, and is answered when something changes.
func TestALongPollAcceptsTheTagOfAProxy(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := running(t, "held", "ada")
	s.apply(e)
	target, set := statusPath+string(e.ARN), jsonBody(`{"executionArns":["`+string(e.ARN)+`"]}`)
	tag := s.ask("GET", target, ada).header.Get("ETag")
	tagOfSet := s.ask("POST", "/v1/wait", ada, set).header.Get("ETag")
	answers := map[string]<-chan answer{}
	for front, changed := range madeByFronts {
		answers[front] = s.later("GET", target+"?wait=3600", ada, header("If-None-Match", changed(tag)))
		answers[front+", a set"] = s.later("POST", "/v1/wait?wait=3600", ada, set, header("If-None-Match", changed(tagOfSet)))
	}
	s.untilWaiting(len(answers))
	s.apply(finished(e, "1"))
	for front, held := range answers {
		if got := <-held; got.status != 200 || !strings.Contains(got.body, "SUCCEEDED") {
			t.Errorf("%s: %+v", front, got)
		}
	}
	for front, changed := range madeByFronts {
		if got := s.ask("POST", "/v1/wait", ada, set, header("If-None-Match", changed(tagOfSet))); got.status != 200 {
			t.Errorf("%s: the set has changed: %d", front, got.status)
		}
	}
	now := s.ask("POST", "/v1/wait", ada, set).header.Get("ETag")
	for front, changed := range madeByFronts {
		if got := s.ask("POST", "/v1/wait", ada, set, header("If-None-Match", changed(now))); got.status != 304 {
			t.Errorf("%s: the set has not changed: %d", front, got.status)
		}
	}
}

// TestAClientThatHasANewerVersionByAProxysTagGetsNoOlderOne: the version in the tag counts,
// whatever the proxy has added.
func TestAClientThatHasANewerVersionByAProxysTagGetsNoOlderOne(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := running(t, "older", "ada")
	s.apply(e)
	later := finished(e, "1")
	newer := `"` + string(later.Version()) + `-0123456789abcdef"`
	for front, changed := range madeByFronts {
		if got := s.ask("GET", statusPath+string(e.ARN), ada, header("If-None-Match", changed(newer))); got.status != 304 {
			t.Errorf("%s: %d %s", front, got.status, got.body)
		}
	}
	older := `"` + strings.Replace(string(e.Version()), "01", "00", 1) + `-0123456789abcdef"`
	for front, changed := range madeByFronts {
		if got := s.ask("GET", statusPath+string(e.ARN), ada, header("If-None-Match", changed(older))); got.status != 200 {
			t.Errorf("%s, an older version: %d %s", front, got.status, got.body)
		}
	}
}
