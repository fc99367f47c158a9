package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestKeysAreTakenOverFromAFile in each format, and their secrets are never printed.
func TestKeysAreTakenOverFromAFile(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "redis-server")
	for name, text := range map[string]string{
		"tabs":          "ada\tCI of ada\tread\tS3CRET-0123456789abcdef\neve\tall, really\tread:all\tS3CRET,0123456789abcdef\t\n\n",
		"a header":      "secret\tname\towner\tscope\tdaily_limit\r\nS3CRET-0123456789abcdef\tCI of ada\tada\tread\t\r\nS3CRET,0123456789abcdef\tall, really\teve\tread:all\t0\r\n",
		"CSV":           "ada,CI of ada,read,S3CRET-0123456789abcdef\neve,\"all, really\",read:all,\"S3CRET,0123456789abcdef\"\n",
		"CSV, a header": "\ufeffscope,secret,owner,name\nread,S3CRET-0123456789abcdef,ada,CI of ada\n\nread:all,\"S3CRET,0123456789abcdef\",eve,\"all, really\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"REDIS_URL=" + cachetest.Redis(t).URL(), "API_KEY_PEPPER=" + pepper}
			file := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, counts := range []string{"keys imported: 2; already present: 0", "keys imported: 0; already present: 2"} {
				out := ctl(t, env, 0, "keys", "create", "--secrets-from", file)
				if !strings.Contains(out, counts) || !strings.Contains(out, "CI of ada") || !strings.Contains(out, "all, really") || strings.Contains(out, "S3CRET") {
					t.Errorf("want %s: %s", counts, out)
				}
			}
			out := ctl(t, env, 0, "keys", "list", "--json")
			if strings.Contains(out, "S3CRET") || strings.Count(out, `"prefix": "ext_`) != 2 || !strings.Contains(out, `"scope": "read:all"`) {
				t.Errorf("list: %s", out)
			}
		})
	}
}

// TestNoKeyIsTakenOverIfALineIsWrong: every wrong line is reported, and no secret is printed.
func TestNoKeyIsTakenOverIfALineIsWrong(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "redis-server")
	env := []string{"REDIS_URL=" + cachetest.Redis(t).URL(), "API_KEY_PEPPER=" + pepper}
	good := "ada\tCI\tread\tS3CRET-0123456789abcdef\n"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"many": {good + "\tCI\tread\tS3CRET-1123456789abcdef\neve\tCI\tS3CRET-2123456789abcdef\tS3CRET-3123456789abcdef\neve\tCI\tread\tS3CRET\n" + good + "eve\tCI\n", []string{
			"line 2: the owner", "line 3: the scope must be", "line 4: the secret must be 20 to 128", "line 5: the same secret as line 1", "line 6: it has 2 columns",
		}},
		"a JWT":          {good + "eve\tx\tread\teyJhbGciOiJSUzI1NiJ9.S3CRET.c2ln\n", []string{"line 2: the secret looks like a JWT"}},
		"a limit":        {good + "eve\tx\tread\tS3CRET-1123456789abcdef\t-1\n", []string{"line 2: the daily limit"}},
		"wrong header":   {"owner\tname\tsecret\tcolour\n", []string{"line 1: column 4", "line 1: the column scope is missing"}},
		"empty":          {"\n\n", []string{"it contains no key"}},
		"a broken quote": {"ada,CI,read,\"S3CRET-0123456789abcdef\neve,CI,read,S3CRET-1123456789abcdef\n", []string{"line "}},
	} {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		out := ctl(t, env, 1, "keys", "create", "--secrets-from", file)
		for _, want := range test.want {
			if !strings.Contains(out, file+": "+want) {
				t.Errorf("%s: %q is missing: %s", name, want, out)
			}
		}
		if strings.Count(out, "\n") != len(test.want) || strings.Contains(out, "S3CRET") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out := ctl(t, env, 0, "keys", "list", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("stored: %s", out)
	}
	file := filepath.Join(t.TempDir(), "keys")
	for i, text := range []string{good, strings.Replace(good, "ada", "eve", 1)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := ctl(t, env, i, "keys", "create", "--secrets-from", file); i == 1 && !strings.Contains(out, "line 1: the key ext_") {
			t.Errorf("another owner: %s", out)
		}
	}
	ctl(t, env, 1, "keys", "create", "--secrets-from", file, "--owner", "ada")
}
