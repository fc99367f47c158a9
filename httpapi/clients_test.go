package httpapi

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// hostile is an output with every character at which a client could wrongly split a
// line or guess a charset.
const hostile = "{\"text\":\"caf\u00e9 \u00c5 \u2705 \u0085 \u2028 \u2029 \u000b\"}"

var hostileOutput = strings.ReplaceAll(hostile, "\u000b", `\u000b`) // JSON has it escaped only

// TestSamplesRunAsTheyStand runs the samples of /docs in their languages, on an output with
// hostile characters.
func TestSamplesRunAsTheyStand(t *testing.T) {
	cachetest.SkipShort(t, "Python, Node and curl")
	t.Parallel()
	s := newService(t)
	done := succeeded(t, "sample", "ada", hostileOutput)
	bad := done
	bad.ARN, bad.Status, bad.Output, bad.Error, bad.ErrorMessage = arn(t, "failed"), cache.Failed, nil, "Boom", "Boom: \u2028 caf\u00e9"
	s.apply(done, bad)
	reader, registrar := s.key("ada"), s.key("generate", scope(apikeys.ScopeRegister))
	want := map[string]string{
		"status": "SUCCEEDED", "stream": "SUCCEEDED", "batch": "SUCCEEDED", "wait": "SUCCEEDED", "list": "Boom: ", "register": "", "link": "?link=csl_", "failures": "Boom", "output": "caf",
	}
	programs := t.TempDir()
	overlay, pattern := goSamples(t)
	build := append([]string{"build", "-ldflags=-s -w", "-overlay", overlay, "-o", programs}, cachetest.BuildFlags()...)
	runClient(t, nil, "go", append(build, pattern)...)
	withoutTypes(t, programs)
	for name, word := range want {
		for _, suffix := range []string{".sh", ".go.txt", ".py", ".ts"} {
			t.Run(name+suffix, func(t *testing.T) {
				t.Parallel()
				token, execution := reader, done.ARN
				if name == "register" {
					token, execution = registrar, arn(t, "registered"+strings.ReplaceAll(suffix, ".", "-"))
				}
				command := runner(t, programs, name, suffix)
				out := runClient(t, environment(s, token, execution), command[0], command[1:]...)
				if !strings.Contains(out, word) {
					t.Errorf("no %q in\n%s", word, out)
				}
			})
		}
	}
}

// withoutTypes writes the samples in TypeScript as JavaScript into a folder, all in one run.
// TestSamplesAreWellFormed checks the types.
func withoutTypes(t *testing.T, folder string) {
	t.Helper()
	args := []string{"--noCheck", "--skipLibCheck", "--target", "esnext", "--lib", "dom,dom.iterable,esnext", "--outDir", folder}
	for _, files := range samples(t) {
		for _, file := range files {
			if strings.HasSuffix(file, ".ts") {
				args = append(args, filepath.Join("..", "..", "httpapi", file))
			}
		}
	}
	runClient(t, nil, "node_modules/.bin/tsc", args...)
}

// runner returns the command that runs a sample, in .tools/clients. Samples in Go have been
// built before, and samples in TypeScript have become JavaScript.
func runner(t *testing.T, programs, name, suffix string) []string {
	t.Helper()
	file, err := filepath.Abs("docs/samples/" + name + suffix)
	if err != nil {
		t.Fatal(err)
	}
	switch suffix {
	case ".sh":
		return []string{"bash", "-e", file}
	case ".py":
		return []string{"/usr/bin/python3", file}
	case ".ts":
		return []string{"node", "sample.mjs", filepath.Join(programs, name+".js")}
	}
	return []string{filepath.Join(programs, name)}
}

// goSamples returns a file for the flag -overlay of the go command, and a pattern for all
// samples in Go. With that file the go command sees them as packages of this module, and builds
// all of them in one run.
func goSamples(t *testing.T) (overlay, pattern string) {
	t.Helper()
	replace := map[string]string{}
	for _, files := range samples(t) {
		for _, file := range files {
			if name, isGo := strings.CutSuffix(file, ".go.txt"); isGo {
				replace[filepath.Join(name, "main.go")] = file
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay, "./docs/samples/..."
}

// TestEventSourceLibrariesFollowToTheEnd: they connect again after the end, and then an answer
// must say that nothing newer will come.
func TestEventSourceLibrariesFollowToTheEnd(t *testing.T) {
	cachetest.SkipShort(t, "Node")
	t.Parallel()
	s := newService(t)
	e := succeeded(t, "followed", "ada", hostileOutput)
	s.apply(e)
	for _, library := range []string{"eventsource", "event-source-polyfill"} {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			out := runClient(t, environment(s, s.key("ada"), e.ARN), "node", "eventsource.mjs", library)
			if strings.Count(out, "SUCCEEDED") != 1 || !strings.Contains(out, hostileOutput) {
				t.Errorf("it printed\n%s", out)
			}
		})
	}
}

// TestLibrariesGetJSON reads a running execution, whose stream would not end.
func TestLibrariesGetJSON(t *testing.T) {
	cachetest.SkipShort(t, "Node and Python")
	t.Parallel()
	s := newService(t)
	e := running(t, "runs", "ada")
	s.apply(e)
	env := environment(s, s.key("ada"), e.ARN)
	if out := runClient(t, env, "node", "clients.mjs"); strings.Count(out, "RUNNING") != 5 {
		t.Errorf("it printed\n%s", out)
	}
	const httpx = `import httpx, os
url = os.environ["STATUS_URL"] + "/v1/status/" + os.environ["ARN"]
headers = {"Authorization": "Bearer " + os.environ["STATUS_TOKEN"]}
print(httpx.get(url, headers=headers, timeout=300).json()["data"]["status"])
with httpx.stream("GET", url, headers={**headers, "Accept": "text/event-stream"}, timeout=300) as s:
    print(s.encoding, next(line for line in s.iter_lines() if line.startswith("data")))`
	if out := runClient(t, env, "/usr/bin/python3", "-c", httpx); strings.Count(out, "RUNNING") != 2 || !strings.Contains(out, "utf-8") {
		t.Errorf("httpx: it printed\n%s", out)
	}
}

// TestJavaFollowsAndReadsErrors: its HttpClient asks for HTTP/2 by an Upgrade over plain
// connections, and guesses the charset of a body by its header.
func TestJavaFollowsAndReadsErrors(t *testing.T) {
	cachetest.SkipShort(t, "Java")
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("no JDK (java, javac) is here: Java's HttpClient is not checked")
	}
	t.Parallel()
	for protocol, change := range map[string][]func(*Options){"HTTP_1_1": nil, "HTTP_2": {withTLS(t)}} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := newService(t, change...)
			if change != nil {
				s.url = strings.Replace(s.url, "http:", "https:", 1)
			}
			e := succeeded(t, "java", "ada", hostileOutput)
			s.apply(e)
			out := runClient(t, environment(s, s.key("ada"), e.ARN), "java", "-XX:TieredStopAtLevel=1", "-Djdk.internal.httpclient.disableHostnameVerification=true", "Client.java")
			for what, times := range map[string]int{
				protocol + ` 200 {"success":true`: 2, hostileOutput: 3, "data: ": 2, `431 {"success":false,"error":{"code":"HeadersTooLarge"`: 1,
			} {
				if strings.Count(out, what) != times {
					t.Errorf("not %d times %q in\n%s", times, what, out)
				}
			}
		})
	}
}

// TestTypesMadeFromTheContract: the types that a generator makes from the contract compile in a
// strict program, and describe the answers.
func TestTypesMadeFromTheContract(t *testing.T) {
	cachetest.SkipShort(t, "Node")
	t.Parallel()
	types := filepath.Join(t.TempDir(), "api.ts")
	contract, err := filepath.Abs("docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	runClient(t, nil, "node_modules/.bin/openapi-typescript", contract, "-o", types)
	const program = `import type { paths } from "./api";
type Answer = paths["/v1/status/{executionArn}"]["get"]["responses"]["200"]["content"]["application/json"];
type Wait = NonNullable<NonNullable<paths["/v1/status/{executionArn}"]["get"]["parameters"]["query"]>["wait"]>;
export const wait: Wait = 20;
export const now: Date = new Date();
export function message(answer: Answer): string {
  const { data } = answer;
  return "errorMessage" in data ? data.errorMessage : data.status; // the view "status" has none
}
`
	main := filepath.Join(filepath.Dir(types), "main.ts")
	if err := os.WriteFile(main, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	runClient(t, nil, "node_modules/.bin/tsc", "--strict", "--skipLibCheck", "--noEmit", "--target", "esnext", "--moduleResolution", "bundler", "--module", "esnext", main)
}

func environment(s *service, token string, execution cache.ARN) []string {
	return []string{"STATUS_URL=" + s.url, "STATUS_TOKEN=" + token, "ARN=" + string(execution), "PYTHONUTF8=1"}
}

// clientLimit ends a client that hangs. A busy machine must not reach it.
const clientLimit = 10 * time.Minute

// runClient runs a client and returns what it printed. A client runs in .tools/clients, and a
// tool of Go in this folder.
func runClient(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	if name != "go" {
		c.Dir = filepath.Join("..", ".tools", "clients")
	}
	c.Env = slices.Concat(os.Environ(), env)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTheHostileOutputIsJSON is a control of the tests above.
func TestTheHostileOutputIsJSON(t *testing.T) {
	t.Parallel()
	if !json.Valid([]byte(hostileOutput)) || !strings.Contains(hostileOutput, "\u2028") {
		t.Errorf("%q", hostileOutput)
	}
}
