package headers

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"statuscache/cache"
)

func FuzzConditions(f *testing.F) {
	f.Add(`"01769414400123-00000-6-2-0011223344556677"`, "gzip;q=0.5")
	f.Add(`W/"x", *`, "gzip;q=0.000,*;q=1")
	f.Fuzz(func(t *testing.T, ifNoneMatch, accept string) {
		h := http.Header{"If-None-Match": {ifNoneMatch}}
		if v, tag := SeenVersion(h); v != "" || tag != "" {
			if _, ok := cache.ParseVersion(string(v)); !ok {
				t.Errorf("%q is no version", v)
			}
		}
		if match, _ := Matches(h["If-None-Match"], `"tag"`); match && !strings.Contains(ifNoneMatch, "*") && !strings.Contains(ifNoneMatch, `"tag`) {
			t.Errorf("%q matches", ifNoneMatch)
		}
		if AcceptsGzip([]string{accept}) && !bytes.Contains(bytes.ToLower([]byte(accept)), []byte("gzip")) {
			t.Errorf("%q accepts gzip", accept)
		}
	})
}
