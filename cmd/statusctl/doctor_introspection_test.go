package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"statuscache/cmd/internal/app"
)

// TestDoctorChecksIntrospection: doctor checks whether the server that checks tokens answers,
// and accepts the client credentials.
func TestDoctorChecksIntrospection(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		status int
		answer string
		fix    string // empty: nothing is wrong
	}{
		"answers":            {http.StatusOK, `{"active":false}`, ""},
		"refuses the client": {http.StatusUnauthorized, "", "AUTH_INTROSPECTION_CLIENT_ID"},
		"forbids the client": {http.StatusForbidden, "", "AUTH_INTROSPECTION_CLIENT_ID"},
		"is another server":  {http.StatusOK, "<html>", "AUTH_INTROSPECTION_URL"},
		"is gone":            {0, "", "AUTH_INTROSPECTION_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.answer))
			}))
			defer server.Close()
			if test.status == 0 {
				server.Close()
			}
			found := diagnoseIntrospection(t.Context(), app.Config{IntrospectionURL: server.URL, IntrospectionClientID: "status", IntrospectionSecret: secret})
			if len(found) != 1 || found[0].OK() != (test.fix == "") || !strings.Contains(found[0].Fix, test.fix) || strings.Contains(found[0].Problem, "hush") {
				t.Errorf("%+v", found)
			}
		})
	}
	if found := diagnoseIntrospection(t.Context(), app.Config{}); len(found) > 0 {
		t.Errorf("without a server: %+v", found)
	}
}
