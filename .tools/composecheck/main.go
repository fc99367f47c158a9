// Command composecheck loads a compose file as docker compose does, and fails if docker compose
// would.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithName("check"))
	if err != nil {
		fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fatal(err)
	}
	for _, s := range project.Services {
		if s.Build == nil {
			continue
		}
		file := filepath.Join(s.Build.Context, s.Build.Dockerfile)
		text, err := os.ReadFile(file)
		if err != nil {
			fatal(err)
		}
		if !strings.Contains(string(text), " AS "+s.Build.Target+"\n") {
			fatal(fmt.Errorf("%s has no stage %q, which %s builds", file, s.Build.Target, s.Name))
		}
	}
	fmt.Printf("%d services\n", len(project.Services))
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
