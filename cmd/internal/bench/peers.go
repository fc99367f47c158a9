package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const startLimit = time.Minute // of a peer; a slow machine needs some of it for 16,000 connections

// peers are the processes that this one started.
type peers struct {
	dir string // for their files
	all []*peer
}

// peer is one process and where it listens.
type peer struct {
	addr   string // host:port
	admin  string // likewise, of serve
	stdin  io.WriteCloser
	lines  *bufio.Reader // what it prints
	cmd    *exec.Cmd
	stderr string // file with its standard error
	ended  chan struct{}
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

func (p *peer) port() string {
	_, port, _ := net.SplitHostPort(p.addr) // it was joined here
	return port
}

// start starts a program. It does not outlive this one.
func (ps *peers) start(name string, args []string, env ...string) (*peer, error) {
	stderr, err := os.CreateTemp(ps.dir, "stderr-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = stderr.Close() }() // the program has its own
	cmd := exec.Command(name, args...)
	cmd.Dir = ps.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + ps.dir}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(name), err)
	}
	p := &peer{stdin: stdin, lines: bufio.NewReader(stdout), cmd: cmd, stderr: stderr.Name(), ended: make(chan struct{})}
	ps.all = append(ps.all, p)
	go func() {
		_, _ = cmd.Process.Wait() // it is killed in the end
		close(p.ended)
	}()
	return p, nil
}

// stop ends a peer that is no longer needed.
func (p *peer) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.stdin.Close()
}

func (ps *peers) pids() (all []int) {
	for _, p := range ps.all {
		all = append(all, p.pid())
	}
	return all
}

func (ps *peers) stopAll() {
	for _, p := range ps.all {
		p.stop()
	}
}

// self starts this program as one of its children.
func (ps *peers) self(child string, env ...string) (*peer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return ps.announced(program, []string{child}, env...)
}

// announced starts a program that prints where it listens.
func (ps *peers) announced(program string, args []string, env ...string) (*peer, error) {
	p, err := ps.start(program, args, env...)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(startLimit, func() { _ = p.cmd.Process.Kill() })
	line, err := p.lines.ReadString('\n')
	if !late.Stop() {
		return nil, p.failed(fmt.Sprintf("did not start within %v", startLimit))
	}
	if err != nil {
		return nil, p.failed("did not start")
	}
	if fields := strings.Fields(line); len(fields) > 0 {
		p.addr, p.admin = fields[0], fields[len(fields)-1]
	}
	return p, nil
}

// failed is an error with the last output of a peer.
func (p *peer) failed(how string) error {
	p.stop()
	text, _ := os.ReadFile(p.stderr) // then there is nothing to add
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%s %s: %s", filepath.Base(p.cmd.Path), how, lines[len(lines)-1])
}

// await returns when a peer listens on the port that it was given.
func (p *peer) await(ctx context.Context) error {
	for end := time.Now().Add(startLimit); time.Now().Before(end); {
		c, err := dial(ctx, p.addr, end)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return p.failed("ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return p.failed("does not listen")
}

// redis starts a Redis without persistence; more of its arguments may follow.
func (ps *peers) redis(ctx context.Context, more ...string) (*peer, error) {
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := ps.start("redis-server", append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, more...))
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("redis-server is not installed (apt-get install redis-server)")
	}
	if err != nil {
		return nil, err
	}
	p.addr = addr
	go func() { _, _ = io.Copy(io.Discard, p.lines) }() // its log
	return p, p.await(ctx)
}

func freePort() (addr, port string, err error) {
	l, err := listen()
	if err != nil {
		return "", "", err
	}
	addr = l.Addr().String()
	_, port, err = net.SplitHostPort(addr)
	return addr, port, errors.Join(err, l.Close())
}
