package apptest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// checked names, for the command blocks of a section, the test or script that runs them
// unchanged, or the reason why none does. The section "" means all sections.
type checked struct{ document, section, ranBy, why string }

var blocks = []checked{
	{"README.md", "Try it", "TestTheCommandsOfTheREADME", ""},
	{"README.md", "Run it for real", "TestTheCommandsOfTheREADME", ""},
	{"README.md", "From Go", "TestAnotherModuleUsesTheClient", ""},
	{"README.md", "Develop", ".ci/run", ""},
	{"deploy/README.md", "From nothing to a served event", ".tools/check-deploy/readme", ""},
	{"deploy/README.md", "CloudFormation", "", "needs an AWS account; .tools/check-deploy/iac creates the stacks in moto"},
	{"deploy/README.md", "Terraform", "", "needs an AWS account; .tools/check-deploy/iac applies the module in moto"},
	{"deploy/README.md", "Kubernetes", "", "needs a cluster; .tools/check-deploy/helm renders the chart with these values"},
	{"deploy/README.md", "Replace an existing endpoint", "", "needs another endpoint; the tests of each command run it"},
	{"deploy/README.md", "Container", "", "needs Docker; .tools/check-deploy/container and ko build the images"},
	{"deploy/README.md", "systemd", "", "needs systemd as the first process; .tools/check-deploy/systemd checks the unit"},
	{"deploy/README.md", "Releases", "", "needs a package manager of the system; .tools/check-deploy/dist installs the deb"},
	{"deploy/helm/statuscache/README.md", "Chart statuscache", "", "needs a cluster; .tools/check-deploy/helm renders the chart"},
	{"deploy/observability/RUNBOOK.md", "", "", "needs a system in which the alert fires"},
}

func (c checked) covers(b Block) bool {
	return c.document == b.Document && (c.section == "" || c.section == b.Section)
}

// TestEveryBlockOfCommandsIsRunOrHasAReason, and the test or script that runs it exists.
func TestEveryBlockOfCommandsIsRunOrHasAReason(t *testing.T) {
	t.Parallel()
	all, used := Blocks(t), map[checked]bool{}
	for _, b := range all {
		n := 0
		for _, c := range blocks {
			if c.covers(b) {
				n, used[c] = n+1, true
			}
		}
		if n != 1 || len(b.Commands) == 0 {
			t.Errorf("%s, %q: %d rows for the block %q", b.Document, b.Section, n, b.Commands)
		}
	}
	source := sources(t, "_test.go")
	for _, c := range blocks {
		if !used[c] {
			t.Errorf("%s has no block in %q", c.document, c.section)
		}
		_, missing := os.Stat(filepath.Join(Root(t), c.ranBy))
		if (c.ranBy == "") == (c.why == "") || missing != nil && !strings.Contains(source, "\nfunc "+c.ranBy+"(") {
			t.Errorf("nothing runs the commands of %s, %q: %+v", c.document, c.section, c)
		}
	}
}

// TestCallsAreFound: calls are found only where a program is started.
func TestCallsAreFound(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"statusd": "[[]]",
		"bin/statusd --listen-addr 127.0.0.1:8080 >statusd.log 2>&1 &": "[[--listen-addr 127.0.0.1:8080]]",
		"KEY=$(bin/statusd keys create --owner ada)":                   "[[keys create --owner ada]]",
		"env -u ROLE -u X bin/statusd":                                 "[[]]",
		"A=b statusd x; statusd y && statusd z # not this":             "[[x] [y] [z]]",
		"statusd --name 'CI of ada' --key \"a b\"":                     "[[--name text --key text]]",
		"journalctl -u statusd | grep x":                               "[]",
		"docker build -t statusd .":                                    "[]",
		"ko build ./cmd/statusd":                                       "[]",
		"systemctl enable --now statusd.service":                       "[]",
	} {
		if got := fmt.Sprint(Calls(command, "statusd")); got != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
}

// sources returns the text of all Go files whose names have the suffix.
func sources(t *testing.T, suffix string) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"cache", "cmd", "httpapi", "ingest"} {
		err := filepath.WalkDir(filepath.Join(Root(t), folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// TestDocumentedCommandsAreShell: bash can read each of them.
func TestDocumentedCommandsAreShell(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "bash")
	for _, b := range Blocks(t) {
		shell := exec.Command("bash", "-n")
		shell.Stdin = strings.NewReader(strings.Join(b.Commands, "\n") + "\n")
		if out, err := shell.CombinedOutput(); err != nil {
			t.Errorf("%s, %q: %v: %s", b.Document, b.Section, err, out)
		}
	}
}

// TestDocumentedTargetsOfMakeExist, as far as make can check this without running them.
func TestDocumentedTargetsOfMakeExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(Root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	calls := DocumentedCalls(t, "make")
	for call, args := range calls {
		if !strings.Contains(string(makefile), "\n"+args[0]+": ") {
			t.Errorf("%s: there is no such target", call)
		}
	}
	if len(calls) < 8 {
		t.Errorf("only %d commands were found", len(calls))
	}
}

var (
	named  = regexp.MustCompile(`(?:^|[\s="'])((?:deploy|cmd|httpapi|\.tools)/[\w./-]+)`)
	logged = regexp.MustCompile(`journalctl .*\| grep (?:'([^']+)'|(\S+))`)
	metric = regexp.MustCompile(`\$ADMIN/metrics \| grep (?:-E )?'?([^'\s#]+)`)
	part   = regexp.MustCompile(`^[a-z_0-9]+`)
)

// TestDocumentedCommandsNameWhatExists: the files, log lines and metrics in them exist.
func TestDocumentedCommandsNameWhatExists(t *testing.T) {
	t.Parallel()
	source := sources(t, ".go")
	for _, b := range Blocks(t) {
		for _, command := range b.Commands {
			for _, file := range named.FindAllStringSubmatch(command, -1) {
				if _, err := os.Stat(filepath.Join(Root(t), file[1])); err != nil {
					t.Errorf("%s: %s: %v", b.Document, command, err)
				}
			}
			if text := logged.FindStringSubmatch(command); text != nil && !strings.Contains(source, text[1]+text[2]) {
				t.Errorf("%s: %s: no log line has %q", b.Document, command, text[1]+text[2])
			}
			if pattern := metric.FindStringSubmatch(command); pattern != nil {
				for one := range strings.SplitSeq(pattern[1], "|") {
					name := strings.TrimSuffix(part.FindString(one), "_count")
					if len(name) > 7 && !strings.Contains(source, `"`+name) && !strings.Contains(source, `Name: "`+strings.TrimSuffix(name, "_")) {
						t.Errorf("%s: %s: no metric is called %s", b.Document, command, name)
					}
				}
			}
		}
	}
}
