package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
)

// Limits of a health check. Container engines allow a check five seconds or more.
const (
	checkLimit   = 4 * time.Second
	maxCheckBody = 16 << 10 // bytes
)

func healthcheckCommand(stdout io.Writer) *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check the statusd on this machine: exit code 0 if it is healthy, else 1",
		Long:  "healthcheck is for container engines without HTTP probes. On ADMIN_ADDR, it requests\n/livez, which fails only if a restart would help. With --ready it requests /readyz,\nwhich also fails while Redis or the queue does not answer.",
		Args:  app.Arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := app.LoadAdminAddr(cmd.Flags(), os.Getenv)
			if err != nil {
				return err
			}
			path := "/livez"
			if ready {
				path = "/readyz"
			}
			answer, err := probe(cmd.Context(), addr, path)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintln(stdout, answer)
			return nil
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "check readiness (/readyz) instead of liveness (/livez)")
	app.AddFlags(cmd.Flags(), app.AdminAddr)
	return cmd
}

// probe requests a path of the admin port, and returns the answer as one line. Its error
// is one line, too.
func probe(ctx context.Context, addr, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+path, nil)
	if err != nil {
		return "", err
	}
	got, err := adminTransport(addr).RoundTrip(r)
	if err != nil {
		return "", fmt.Errorf("%s of %s does not answer: %w", path, addr, brief(err))
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(got.Body, maxCheckBody))
	if err != nil {
		return "", fmt.Errorf("%s of %s does not answer: %w", path, addr, brief(err))
	}
	text := strings.Join(strings.Split(strings.TrimSpace(string(body)), "\n"), "; ")
	if got.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s of %s answers %d: %s", path, addr, got.StatusCode, text)
	}
	return text, nil
}

// adminTransport connects to a listen address, such as :9090, without a proxy.
func adminTransport(addr string) http.RoundTripper {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
}

// brief removes the address, which the message already has.
func brief(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
