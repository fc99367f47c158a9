// Package cachetest starts real Redis servers for tests. If redis-server is not
// installed, a test that needs it fails. With go test -short the test is skipped, because
// then no test starts another program.
package cachetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a redis-server for one test, on a separate port. It ends with the test.
type Server struct {
	Addr   string // host:port on loopback
	Secure string // host:port on which it speaks TLS; empty: none
	t      testing.TB
	args   []string
	dir    string
	cmd    *exec.Cmd
	gone   chan struct{} // closed when the process has ended
}

// Redis starts a server without persistence; more arguments of redis-server may
// follow, such as "--appendonly", "yes".
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	SkipShort(t, "redis-server")
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
	var out Log
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	// It must not outlive a test binary that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		s.t.Fatal("redis-server is not installed; make test installs it")
	} else if err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	gone, cmd := make(chan struct{}), s.cmd
	s.gone = gone
	go func() {
		defer close(gone)
		_ = cmd.Wait() // says that it was killed, or what it has printed
	}()
	s.await(&out)
}

// await returns when the server has loaded its files and answers.
func (s *Server) await(out fmt.Stringer) {
	s.t.Helper()
	for begun := time.Now(); time.Since(begun) < limit && !s.exited(); pause(time.Since(begun)) {
		if answer, err := s.ask("PING"); err == nil && answer == "+PONG" {
			return
		}
	}
	s.t.Fatalf("redis-server does not answer:\n%s", out)
}

func (s *Server) exited() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// send sends one inline command on a new connection, and returns a reader of the answer
// and a function that closes the connection.
func (s *Server) send(command string) (answer *bufio.Reader, end func(), err error) {
	c, err := net.DialTimeout("tcp", s.Addr, limit)
	if err != nil {
		return nil, nil, err
	}
	end = func() { _ = c.Close() }
	err = c.SetDeadline(time.Now().Add(limit))
	if err == nil {
		_, err = c.Write([]byte(command + "\r\n"))
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return bufio.NewReader(c), end, nil
}

// ask sends one inline command and returns the first line of the answer.
func (s *Server) ask(command string) (string, error) {
	r, end, err := s.send(command)
	if err != nil {
		return "", err
	}
	defer end()
	line, err := r.ReadString('\n')
	return strings.TrimSpace(line), err
}

// Text sends one inline command that is answered by a text, and fails the test
// if it is not.
func (s *Server) Text(command string) string {
	s.t.Helper()
	r, end, err := s.send(command)
	if err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	defer end()
	head, err := r.ReadString('\n')
	length, notLength := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
	if err != nil || notLength != nil {
		s.t.Fatalf("%s: %q, %v", command, head, err)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	return string(text)
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
	<-s.gone
	s.cmd = nil
}

// Freeze stops the server without closing a connection, until Thaw.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server continue.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%v to redis-server: %v", sig, err)
	}
}

// FreePort returns a loopback port on which no program listens. A UDP socket with the same
// number reserves it until t has ended, so that no other test gets it, in any process. It is
// below the ports that the system uses for outgoing connections, so it is still free when a
// server comes back.
func FreePort(t testing.TB) int {
	t.Helper()
	const first, count = 20_000, 12_000
	for range count {
		port := first + rand.N(count)
		claim, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		// Do not listen on it: a process that is started at this moment would keep it for a while.
		other, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			_ = other.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) { // some other program has it
			_ = claim.Close()
			continue
		}
		t.Cleanup(func() { _ = claim.Close() })
		return port
	}
	t.Fatal("no free port")
	return 0
}

// Info returns one field of INFO.
func (s *Server) Info(field string) string {
	s.t.Helper()
	for line := range strings.Lines(s.Text("INFO")) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	s.t.Fatalf("INFO has no %s", field)
	return ""
}

// Calls returns how often the server has run a command, given in lower case.
func (s *Server) Calls(command string) int {
	s.t.Helper()
	_, rest, found := strings.Cut(s.Text("INFO commandstats"), "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	n, _, _ := strings.Cut(rest, ",")
	count, err := strconv.Atoi(n)
	if err != nil {
		s.t.Fatal(err)
	}
	return count
}
