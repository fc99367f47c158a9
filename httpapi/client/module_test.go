package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnotherModuleUsesTheClient follows the README: a program in a module of its own
// builds with this package from a checkout, and needs no registry for it.
func TestAnotherModuleUsesTheClient(t *testing.T) {
	if testing.Short() { // by itself: what tests import is part of the module that go mod tidy reads
		t.Skip("-short leaves out what needs the go command")
	}
	t.Parallel()
	checkout, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	const program = `package main

import (
	"fmt"

	"statuscache/httpapi/client"
)

func main() {
	_, err := client.New("not a URL", "token")
	fmt.Println(err)
}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, command := range []string{
		"go mod init example.com/poller",
		"go mod edit -require statuscache@v0.0.0 -replace statuscache=" + checkout,
		"go mod tidy",
		"go run .",
	} {
		words := strings.Fields(command)
		c := exec.CommandContext(t.Context(), words[0], words[1:]...)
		c.Dir, c.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		if out, err = c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	if !strings.Contains(string(out), `"not a URL" is not the URL of a service`) {
		t.Errorf("the program printed %s", out)
	}
}
