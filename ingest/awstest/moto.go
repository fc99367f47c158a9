package awstest

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// Moto starts moto_server, an independent implementation of EventBridge, on a free
// loopback port, and returns the base of its URLs. It ends with the test. If it is not
// installed, the test is skipped and prints how to install it: pip install
// 'moto[server]'.
func Moto(t testing.TB) (endpoint string) {
	t.Helper()
	cachetest.SkipShort(t, "moto_server")
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed: " + err.Error())
	}
	server := exec.Command(program, "-H", "127.0.0.1", "-p", "0")
	says, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatalf("start moto_server: %v", err)
	}
	kill := func() { server.Process.Kill() } //nolint:errcheck // it has ended
	t.Cleanup(func() {
		kill()
		server.Wait() //nolint:errcheck // it was killed
	})
	late := time.AfterFunc(5*time.Minute, kill)
	defer late.Stop()
	endpoint, err = readAddress(says)
	if err != nil {
		t.Fatalf("moto_server did not start: %v", err)
	}
	go io.Copy(io.Discard, says) //nolint:errcheck // it ends with the server
	return endpoint
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// readAddress reads until the server has printed its address.
func readAddress(says io.Reader) (string, error) {
	lines := bufio.NewScanner(says)
	for lines.Scan() {
		if found := address.FindString(lines.Text()); found != "" {
			return found, nil
		}
	}
	return "", cmp.Or(lines.Err(), errors.New("it ended without printing its address"))
}
