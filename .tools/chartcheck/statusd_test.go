package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
)

// statusd is the program, built from the same tree.
func statusd(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "statusd")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", program, "./cmd/statusd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// printed returns the settings that statusd has in an environment, and where each comes from.
func printed(t *testing.T, program string, env map[string]string) map[string]string {
	t.Helper()
	cmd := exec.Command(program, "--print-config")
	cmd.Env = []string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Errorf("statusd refuses what the chart sets: %v\n%s", err, said.String())
	}
	all := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(line, "=")
		_, source, _ := strings.Cut(rest, "#")
		all[strings.TrimSpace(name)] = strings.TrimSpace(source)
	}
	return all
}

// environment returns the settings in the container of a role. A secret has a valid value, and a
// file exists.
func environment(t *testing.T, all objects, role string) map[string]string {
	t.Helper()
	env := map[string]string{}
	c := container(t, all, role)
	for _, from := range c.EnvFrom {
		maps.Copy(env, one[*core.ConfigMap](t, all, from.ConfigMapRef.Name).Data)
	}
	folder := files(t)
	for _, e := range c.Env {
		if _, twice := env[e.Name]; twice {
			t.Errorf("%s is set twice", e.Name)
		}
		switch mounted, is := strings.CutPrefix(e.Value, "/etc/statusd/files/"); {
		case is:
			env[e.Name] = filepath.Join(folder, mounted)
		case e.ValueFrom == nil:
			env[e.Name] = e.Value
		case e.Name == "REDIS_URL":
			env[e.Name] = "rediss://redis:6379"
		default:
			env[e.Name] = "a secret of some length"
		}
	}
	return env
}

// files makes those that settings can name.
func files(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for names, text := range map[string][]byte{
		"REDIS_CA_FILE REDIS_CERT_FILE TLS_CERT_FILE":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"REDIS_KEY_FILE TLS_KEY_FILE":                        pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"REDIS_PASSWORD_FILE AUTH_INTROSPECTION_SECRET_FILE": []byte("password"),
		"API_KEYS_FILE": []byte("{}"),
	} {
		for name := range strings.FieldsSeq(names) {
			if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return folder
}

// TestStatusdAcceptsWhatTheChartSets, for every set of values. The chart sets nothing that statusd
// does not know.
func TestStatusdAcceptsWhatTheChartSets(t *testing.T) {
	program := statusd(t)
	for _, file := range valueSets(t) {
		set := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		all := render(t, values(t, set))
		for _, role := range []string{"api", "ingest"} {
			env := environment(t, all, role)
			known := printed(t, program, env)
			for name := range env {
				switch {
				case strings.HasPrefix(name, "AWS_"), strings.HasPrefix(name, "OTEL_"):
				case known[name] != "environment":
					t.Errorf("%s: %s is given %s, which statusd has from %q", set, role, name, known[name])
				}
			}
		}
	}
}

// everySetting returns the set of values that has everything. A setting that is not in its
// file has its default.
func everySetting(t *testing.T) map[string]any {
	t.Helper()
	all := values(t, "everything")
	given := all["settings"].(map[string]any)
	settings, err := documentedSettings()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range settings {
		_, has := given[each.name]
		if !has && each.preset != "" && each.name != "REDIS_URL" && !slices.Contains(setByChart, each.name) {
			given[each.name] = each.preset
		}
	}
	return all
}

// aboutCallers matches the settings that a process needs only if it has callers.
var aboutCallers = regexp.MustCompile(`^(API_KEY|AUTH|CORS|DASHBOARD|JWT|TLS)|^LISTEN_ADDR$`)

// TestEverySettingReachesStatusd with the set that has everything: api gets each, unless it is
// one of ingest; ingest gets all but those about callers.
func TestEverySettingReachesStatusd(t *testing.T) {
	program := statusd(t)
	all := render(t, everySetting(t))
	api := printed(t, program, environment(t, all, "api"))
	ingest := printed(t, program, environment(t, all, "ingest"))
	if len(api) < 40 {
		t.Fatalf("statusd prints only %d settings", len(api))
	}
	for name, source := range api {
		if source != "environment" {
			t.Errorf("%s cannot be set by values: .tools/check-deploy/helm --write adds it to values.schema.json; give it a value in ci/everything-values.yaml if it has no default", name)
		}
	}
	for name, source := range ingest {
		if given := source == "environment"; given == aboutCallers.MatchString(name) {
			t.Errorf("ingest: %s is from %q", name, source)
		}
	}
}
