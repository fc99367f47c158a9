package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
)

// composeService is what the test needs of a service in deploy/compose.yaml.
type composeService struct {
	Command     []string
	Environment map[string]string
	Healthcheck struct{ Test []string }
	NetworkMode string `yaml:"network_mode"`
}

// composed reads the services of deploy/compose.yaml.
func composed(t *testing.T) map[string]composeService {
	t.Helper()
	text, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]composeService }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Services
}

// TestTheComposeFileRunsTheSystem runs the commands of deploy/compose.yaml with its settings,
// on this machine and with free ports: statusd serves an execution that statusdev starts,
// its health check passes, and Redis writes an append-only file.
func TestTheComposeFileRunsTheSystem(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "programs of its own")
	services := composed(t)
	if mode := services["statusd"].NetworkMode; mode != "service:statusdev" {
		t.Fatalf("statusd has the network mode %q: it could not reach the stand-in", mode)
	}
	redis := cachetest.Redis(t, services["redis"].Command[1:]...)
	if on := redis.Info("aof_enabled"); on != "1" {
		t.Errorf("the append-only file: %q", on)
	}
	free := func() string { return strconv.Itoa(cachetest.FreePort(t)) }
	api := net.JoinHostPort("127.0.0.1", free())
	here := strings.NewReplacer("redis://redis:6379", redis.URL(), "4566", free(),
		"0.0.0.0:8081", "127.0.0.1:0", "0.0.0.0:8080", api, "127.0.0.1:9090", net.JoinHostPort("127.0.0.1", free()))

	laptop := startLaptop(t, replaced(here, services["statusdev"].Command)...)
	var env []string
	for name, value := range services["statusd"].Environment {
		env = append(env, name+"="+here.Replace(value))
	}
	statusd := filepath.Join(apptest.Programs(t), "bin", "statusd")
	apptest.StartFile(t, statusd, env)
	check := services["statusd"].Healthcheck.Test
	if len(check) < 2 || check[0] != "CMD" || check[1] != "/statusd" {
		t.Fatalf("the health check is %q", check)
	}
	cachetest.Eventually(t, "the health check passes", func() bool {
		return apptest.StartFile(t, statusd, env, check[2:]...).Wait() == 0
	})

	execution := regexp.MustCompile(`arn:aws:states:\S+?:execution:[^'"\s?]+`).FindString(laptop.Output())
	laptop.api = "http://" + api
	cachetest.Eventually(t, "statusd serves "+execution, func() bool {
		status, _, err := laptop.ask("GET", "/v1/status/"+execution, "")
		return err == nil && status == 200
	})
}

func replaced(here *strings.Replacer, args []string) []string {
	args = slices.Clone(args)
	for i := range args {
		args[i] = here.Replace(args[i])
	}
	return args
}
