package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
)

// TestTheCommandsOfTheREADME runs the commands of the README in their order, with the key, the
// addresses and the execution of this run instead of those in the README. Their output must
// have the lines that the README shows.
func TestTheCommandsOfTheREADME(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "programs of its own")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	bin := apptest.Programs(t)
	tryIt, rest, found := strings.Cut(string(readme), "\n## Use it\n")
	_, forReal, found2 := strings.Cut(rest, "\n## Run it for real\n")
	if !found || !found2 {
		t.Fatal("the README has other sections")
	}
	t.Run("try it", func(t *testing.T) {
		t.Parallel()
		l := startLaptop(t, "--listen-addr", "127.0.0.1:0", "--no-demo")
		s := &session{dir: bin, env: exports(l.Output()), replace: strings.NewReplacer("http://127.0.0.1:8080", l.api)}
		s.special = func(command string) string {
			switch {
			case strings.HasPrefix(command, "KEY="):
				return "KEY=" + l.key
			case strings.HasPrefix(command, "ARN="):
				return `ARN=$(grep -o 'arn:aws:states:[^"]*' output.$((n-1)))`
			}
			return command
		}
		s.run(t, tryIt, nil)
	})
	t.Run("run it for real", func(t *testing.T) {
		t.Parallel()
		local, err := startAWS(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(local.stop)
		s := &session{dir: bin, env: []string{
			"export AWS_ENDPOINT_URL=" + local.url + " AWS_REGION=" + region + " AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local",
			"export LISTEN_ADDR=127.0.0.1:0 ADMIN_ADDR=127.0.0.1:0",
		}}
		s.replace = strings.NewReplacer("redis://redis.internal:6379", cachetest.Redis(t).URL(),
			"arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", local.pipeline.machine)
		s.special = func(command string) string {
			if command == "bin/statusd" { // which runs until it is stopped
				return untilStarted
			}
			return command
		}
		s.after = map[string]string{"bin/statusctl provision": `eval "$(grep ^export output.$n)"`}
		s.run(t, forReal, map[string]int{"bin/statusctl doctor": 1, "env -u": 1})
	})
}

// untilStarted runs statusd until its log reports that it has started, and ends it then.
const untilStarted = `bin/statusd & pid=$!
for _ in $(seq 3000); do grep -q '"msg":"started"' output.$n && break; kill -0 $pid || break; sleep 0.1; done
kill $pid; wait $pid`

// exports returns the lines that set the environment.
func exports(printed string) (lines []string) {
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(line, "export ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// session is a shell in which a user follows the README.
type session struct {
	dir     string // which has bin/
	env     []string
	replace *strings.Replacer
	special func(command string) string
	after   map[string]string // what to do after commands with this beginning
}

// shownCommand is a command of the README, and the lines that it prints there.
type shownCommand struct {
	text  string
	lines []string
}

var console = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

func commandsOf(section string) (all []shownCommand) {
	for _, block := range console.FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
			line = strings.TrimSuffix(line, "\n")
			if text, command := strings.CutPrefix(line, "$ "); command {
				all = append(all, shownCommand{text: text})
			} else if len(all) > 0 {
				all[len(all)-1].lines = append(all[len(all)-1].lines, line)
			}
		}
	}
	return all
}

// run runs the commands of a section in one shell. codes has exit codes by the beginning of a
// command. Other commands must have the code that the next echo $? prints, or 0.
func (s *session) run(t *testing.T, section string, codes map[string]int) {
	t.Helper()
	work := t.TempDir()
	if err := os.Symlink(filepath.Join(s.dir, "bin"), filepath.Join(work, "bin")); err != nil {
		t.Fatal(err)
	}
	commands := commandsOf(section)
	if len(commands) < 5 {
		t.Fatalf("only %d commands", len(commands))
	}
	script := strings.Join(s.env, "\n") + "\ncode=0 n=0\n"
	for i, c := range commands {
		text := s.special(s.replace.Replace(c.text))
		if strings.HasPrefix(text, "make ") {
			text = ":" // the test has built what it builds
		}
		script += fmt.Sprintf("n=%d; (exit $code)\n{ %s\n} > output.%d 2>&1\ncode=$?; echo $code > code.%d\n", i, text, i, i)
		for begin, more := range s.after {
			if strings.HasPrefix(c.text, begin) {
				script += more + "\n"
			}
		}
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", script)
	shell.Dir = work
	shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=10"}
	if out, err := shell.CombinedOutput(); len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	for i, c := range commands {
		want := 0
		if i+1 < len(commands) && commands[i+1].text == "echo $?" {
			_, _ = fmt.Sscan(commands[i+1].lines[0], &want)
		}
		for begin, code := range codes {
			if strings.HasPrefix(c.text, begin) {
				want = code
			}
		}
		c.check(t, want, read(t, work, "code", i), read(t, work, "output", i))
	}
}

func read(t *testing.T, dir, what string, i int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s.%d", what, i)))
	if err != nil {
		t.Errorf("%s of command %d: %v", what, i, err)
	}
	return strings.TrimSpace(string(text))
}

// check compares the exit code, and the first words of the lines unless they vary between runs.
func (c *shownCommand) check(t *testing.T, code int, got, printed string) {
	t.Helper()
	if got != fmt.Sprint(code) {
		t.Errorf("$ %s\n%s\nexit code %s, want %d", c.text, printed, got, code)
	}
	var words []string
	for line := range strings.Lines(printed) {
		words = append(words, firstWord(line))
	}
	for _, line := range c.lines {
		if word := firstWord(line); word != "" && !slices.Contains(words, word) {
			t.Errorf("$ %s\nprints no line that begins with %q as in the README:\n%s", c.text, word, printed)
		}
	}
}

var ofThatRun = regexp.MustCompile(`^(RUNNING|SUCCEEDED|FAILED|[0-9].*|csk_live_.*|…|applied|superseded|)$`)

// firstWord returns the first word of a line, or the first name of a JSON object; empty if the
// word varies between runs.
func firstWord(line string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	word, _, _ = strings.Cut(word, ":")
	if ofThatRun.MatchString(word) {
		return ""
	}
	return word
}
