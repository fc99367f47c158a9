// Package cachetest starts real Redis servers for tests. A test that needs one
// and finds none fails: it does not skip.
package cachetest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a redis-server of the test's own on a port of its own. It ends with
// the test.
type Server struct {
	Addr string // host:port on loopback
	t    testing.TB
	args []string
	dir  string
	cmd  *exec.Cmd
}

// Redis starts a server without persistence; more arguments of redis-server may
// follow, such as "--appendonly", "yes".
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	port := FreePort(t)
	s := &Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		t:    t,
		dir:  t.TempDir(),
		args: append([]string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--appendfsync", "always", "--enable-debug-command", "yes", "--maxmemory-policy", "noeviction",
		}, args...),
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// URL returns the server as a REDIS_URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Start starts the server, again if it was killed. It keeps its port and files.
func (s *Server) Start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Dir = s.dir
	var out lockedBuffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	// It must not outlive a test binary that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		s.t.Fatal("redis-server is not installed; make test installs it")
	} else if err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	s.await(&out)
}

// await returns when the server has loaded its files and answers.
func (s *Server) await(out fmt.Stringer) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if answer, err := s.ask("PING"); err == nil && answer == "+PONG" {
			return
		}
		if s.exited() {
			break
		}
		pause()
	}
	s.t.Fatalf("redis-server does not answer:\n%s", out)
}

func (s *Server) exited() bool {
	return syscall.Kill(s.cmd.Process.Pid, 0) != nil
}

// ask sends one inline command and returns the first line of the answer.
func (s *Server) ask(command string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// Do sends one inline command, and fails the test if Redis refuses it. It
// returns the first line of the answer.
func (s *Server) Do(command string) string {
	s.t.Helper()
	answer, err := s.ask(command)
	if err != nil || strings.HasPrefix(answer, "-") {
		s.t.Fatalf("%s: %q, %v", command, answer, err)
	}
	return answer
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT) // a frozen one would not be reaped
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

// Freeze stops the server without closing a connection, until Thaw.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%v to redis-server: %v", sig, err)
	}
}

// FreePort returns a port of loopback that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// Info returns one field of INFO.
func (s *Server) Info(field string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("INFO\r\n")); err != nil {
		s.t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			s.t.Fatalf("INFO has no %s: %v", field, err)
		}
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
}
