package apptest

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
)

// environment is locked while a command runs, because a process has only one environment.
var environment sync.Mutex

// Run runs a command to its end within the process of the test, and returns its exit code and
// output. Use it where a separate process would prove no more. The command has env, without the
// machine's settings for AWS. Commands run one at a time.
func Run(t testing.TB, command func(stdout, stderr io.Writer) *cobra.Command, env []string, args ...string) (code int, printed string) {
	t.Helper()
	environment.Lock()
	defer environment.Unlock()
	before := os.Environ()
	defer setEnvironment(t, before)
	var own []string
	for _, variable := range before {
		if !strings.HasPrefix(variable, "AWS_") {
			own = append(own, variable)
		}
	}
	setEnvironment(t, append(append(own, "AWS_EC2_METADATA_DISABLED=true"), env...))
	var out bytes.Buffer
	cmd := command(&out, &out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return app.Exit(&out, cmd.Name(), err), out.String()
}

// setEnvironment never removes a variable that stays, not even for a moment, because other
// tests start programs at the same time and find them by PATH.
func setEnvironment(t testing.TB, variables []string) {
	t.Helper()
	wanted := map[string]string{}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		wanted[name] = value
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, stays := wanted[name]; !stays {
			_ = os.Unsetenv(name) // cannot fail for a name that os.Environ returns
		}
	}
	for name, value := range wanted {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
}
