package apptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"statuscache/cache/cachetest"
)

// builtIn is the folder of Programs, which removeBuilt removes.
var builtIn string

// Programs returns a folder whose bin/ has statusctl and statusd, built like by make build.
// They are built once for all tests of a package that uses Main, because linking a program
// takes as long as many tests.
func Programs(t testing.TB) string {
	t.Helper()
	cachetest.SkipShort(t, "programs of its own")
	dir, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildOnce = sync.OnceValues(func() (dir string, err error) {
	if builtIn, err = os.MkdirTemp("", "statuscache-programs-"); err != nil {
		return "", err
	}
	args := append([]string{"build", "-ldflags=-s -w", "-o", filepath.Join(builtIn, "bin") + "/"}, cachetest.BuildFlags()...)
	if out, err := exec.Command("go", append(args, "statuscache/cmd/statusctl", "statuscache/cmd/statusd")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return builtIn, nil
})

func removeBuilt() {
	_ = os.RemoveAll(builtIn) // nothing was built
}
