// Package apptest runs a program of this project as a separate process, as its users do: with
// an environment, signals and an exit code. go test -short skips such tests.
package apptest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// runMain makes a test binary run the program that it tests.
const runMain = "STATUSCACHE_TEST_RUN_MAIN"

// Main is for TestMain: in a process that Start has started, it runs the named program,
// otherwise the tests.
func Main(m *testing.M, programs map[string]func()) {
	if name := os.Getenv(runMain); name != "" {
		programs[name]()
		os.Exit(0)
	}
	code := m.Run()
	removeBuilt()
	os.Exit(code)
}

// Process is a running program. It is killed when the test ends.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	output *cachetest.Log
	ended  chan struct{}
}

// Start starts a program that Main knows. Its environment is env, without the machine's
// settings for AWS.
func Start(t testing.TB, program string, env []string, args ...string) *Process {
	t.Helper()
	return StartFile(t, os.Args[0], append([]string{runMain + "=" + program}, env...), args...)
}

// StartTo is Start, but the program prints to another writer, such as a pipe.
func StartTo(t testing.TB, out *os.File, program string, env []string) *Process {
	t.Helper()
	return start(t, os.Args[0], out, append([]string{runMain + "=" + program}, env...))
}

// StartFile is Start for the program in a file.
func StartFile(t testing.TB, file string, env []string, args ...string) *Process {
	t.Helper()
	return start(t, file, nil, env, args...)
}

// start starts a program that prints to out; nil: into the buffer that Output returns.
func start(t testing.TB, file string, out *os.File, env []string, args ...string) *Process {
	t.Helper()
	cachetest.SkipShort(t, "a process of its own")
	p := &Process{t: t, cmd: exec.Command(file, args...), output: &cachetest.Log{}, ended: make(chan struct{})}
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true",
		"GORACE=atexit_sleep_ms=10", // by default, the program would sleep for a second
	}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if out != nil {
		p.cmd.Stdout, p.cmd.Stderr = out, out
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is read elsewhere
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Kill()
		if strings.Contains(p.Output(), "WARNING: DATA RACE") { // not every test checks the exit code
			t.Error("there is a data race in the process")
		}
		if t.Failed() && p.Output() != "" {
			t.Logf("%s printed:\n%.4000s", filepath.Base(file), p.Output())
		}
	})
	return p
}

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // the process may have ended
	<-p.ended
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// limit bounds every wait for a process. It is not a performance target: even a busy machine
// must not reach it.
const limit = 5 * time.Minute

// Wait returns the exit code, and fails the test if the process does not end within
// five minutes.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("did not end within %v:\n%s", limit, p.Output())
		return -1
	}
}

// Until waits until a condition is met. It fails the test if the process ends before that, or
// after five minutes.
func (p *Process) Until(happened <-chan struct{}) {
	p.t.Helper()
	select {
	case <-happened:
	case <-p.ended:
		p.t.Fatalf("the process ended with exit code %d before this:\n%s", p.cmd.ProcessState.ExitCode(), p.Output())
	case <-time.After(limit):
		p.t.Fatalf("this did not happen within %v:\n%s", limit, p.Output())
	}
}

// Output returns what the process has printed.
func (p *Process) Output() string {
	return p.output.String()
}

// Lines returns the lines that the process has printed.
func (p *Process) Lines() []string {
	return strings.Split(strings.TrimSuffix(p.Output(), "\n"), "\n")
}
