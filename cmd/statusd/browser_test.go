package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"statuscache/cache/cachetest"
)

// browser is a process of .tools/clients/dashboard/run.mjs, which runs scenarios one after the
// other in one browser.
type browser struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	said cachetest.Log
}

// browsers are those that are idle, because their scenarios have passed. No more are started
// than tests run at once.
type browsers struct {
	mu   sync.Mutex
	idle []*browser
}

// take returns an idle browser, or a new one.
func (all *browsers) take(t *testing.T) *browser {
	t.Helper()
	all.mu.Lock()
	defer all.mu.Unlock()
	last := len(all.idle) - 1
	if last < 0 {
		return startBrowser(t)
	}
	b := all.idle[last]
	all.idle = all.idle[:last]
	return b
}

func (all *browsers) put(b *browser) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.idle = append(all.idle, b)
}

func (all *browsers) end() {
	for _, b := range all.idle {
		b.end()
	}
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{cmd: exec.Command("node", "../../.tools/clients/dashboard/run.mjs")}
	b.cmd.Env = append(os.Environ(), "CHROMIUM="+chromium())
	b.cmd.Stderr = &b.said
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err1 := b.cmd.StdoutPipe()
	in, err2 := b.cmd.StdinPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.in, b.out = in, bufio.NewScanner(out)
	b.out.Buffer(nil, 4<<20)
	return b
}

// send sends the name of a scenario, or an answer to it.
func (b *browser) send(message map[string]any) error {
	line, err := json.Marshal(message)
	if err == nil {
		_, err = b.in.Write(append(line, '\n'))
	}
	return err
}

// end ends a browser that is idle or whose scenario has failed. Without input, it ends itself.
func (b *browser) end() {
	_ = b.in.Close()
	_ = b.cmd.Wait() // it may have ended
}

// chromium is the path of the browser. The headless shell has the same engine, and needs about
// half of the CPU time, because it lacks the rest of a browser. If THOROUGH is set, for make
// test-stress and make bench-dashboard, it is the complete browser.
func chromium() string {
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if os.Getenv("THOROUGH") == "" {
		names = append([]string{"chromium-headless-shell"}, names...)
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
