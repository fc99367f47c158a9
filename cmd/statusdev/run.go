package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/pflag"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cmd/internal/app"
	"statuscache/httpapi"
	"statuscache/ingest/localaws"
	"statuscache/ingest/operate"
)

type options struct {
	listenAddr string
	fallback   bool // to a free port
	redisURL   string
	quiet      bool
	verbose    bool
	loss       float64 // probability that an event is lost
	awsPort    int     // of the stand-in for AWS; 0: a free one
	// dashboardDir is the folder from which the files of the dashboard are read; empty: the
	// embedded files.
	dashboardDir string
}

const (
	demoOwner = "demo"
	// redisTimeout is how long Redis may take: a laptop is also busy with other work.
	redisTimeout = 30 * time.Second
	region       = "eu-west-1"
)

// run starts everything that the service needs and then the service, and runs it until ctx ends.
func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	public, err := listen(o, stdout)
	if err != nil {
		return err
	}
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if o.redisURL == "" {
		stop, url, err := startRedis()
		if err != nil {
			return err
		}
		defer stop()
		o.redisURL = url
	}
	local, err := startAWS(o.awsPort, o.loss)
	if err != nil {
		return err
	}
	defer local.stop()
	p := local.pipeline
	made, err := local.provision(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "statusdev-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keysFile := filepath.Join(dir, "keys.json")
	if err := apikeys.WriteFile(keysFile, nil); err != nil {
		return err
	}
	config, err := settings(o, made, keysFile)
	if err != nil {
		return err
	}
	return app.Run(ctx, config, app.Program{
		Version: version, Log: stderr, Public: public, Admin: admin,
		ReadLimit: redisTimeout, WriteLimit: redisTimeout, DashboardDir: o.dashboardDir,
		AWS:   func(context.Context) (aws.Config, error) { return local.config(), nil },
		Posts: func(c *cache.Cache) []httpapi.Post { return []httpapi.Post{p.generate(c)} },
		Background: func(ctx context.Context, c *cache.Cache, keys *apikeys.Keys) error {
			return demo(ctx, c, keys, p, banner{
				out: stdout, api: "http://" + public.Addr().String(), admin: "http://" + admin.Addr().String(),
				redis: o.redisURL, aws: local.url, made: made, keysFile: keysFile, keepToken: o.dashboardDir != "",
			}, !o.quiet)
		},
	})
}

// listen binds the address of the API.
func listen(o options, stdout io.Writer) (net.Listener, error) {
	l, err := net.Listen("tcp", o.listenAddr)
	if err == nil {
		return l, nil
	}
	if o.fallback && errors.Is(err, syscall.EADDRINUSE) {
		_, _ = fmt.Fprintf(stdout, "%s is in use, so a free port is used\n", o.listenAddr)
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return nil, fmt.Errorf("--listen-addr: %w", err)
}

// startRedis starts the embedded Redis, and advances its clock, which does not advance by
// itself. Otherwise nothing would expire.
func startRedis() (stop func(), url string, err error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, "", fmt.Errorf("embedded Redis: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-ended:
				return
			case now := <-tick.C:
				m.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	return func() { close(ended); m.Close() }, "redis://" + m.Addr(), nil
}

// localAWS is the stand-in for AWS, listening on loopback.
type localAWS struct {
	url      string
	pipeline *pipeline
	stop     func()
}

func startAWS(port int, loss float64) (*localAWS, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("embedded AWS: %w", err)
	}
	server := localaws.New()
	h := &http.Server{Handler: server, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = h.Serve(l) }() // Serve ends with Close
	return &localAWS{"http://" + l.Addr().String(), newPipeline(server, loss), func() {
		server.Shutdown()
		_ = h.Close()
	}}, nil
}

// config is the SDK configuration for calling it.
func (l *localAWS) config() aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(l.url),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
}

// provision creates the queues, the rule and the archive as statusctl provision does.
func (l *localAWS) provision(ctx context.Context) (operate.Provisioned, error) {
	operator, err := operate.NewOperator(l.config(), "")
	if err != nil {
		return operate.Provisioned{}, err
	}
	plan := operate.Plan{Name: "status-events", StateMachines: []string{l.pipeline.machine}}
	return operator.Provision(ctx, plan, func(operate.Step) {})
}

// settings returns the settings with which statusd runs here.
func settings(o options, made operate.Provisioned, keysFile string) (app.Config, error) {
	level := "warn"
	if o.verbose {
		level = "info"
	}
	values := map[string]string{
		"REDIS_URL":      o.redisURL,
		"SQS_QUEUE_URL":  made.QueueURL,
		"STATE_MACHINES": strings.Join(made.StateMachines, ","),
		"OWNER_PATH":     "tenantId",
		"LABEL_PATHS":    "type=inputType,life=life",
		"AUDIT_EVERY":    "10s", // so that lost events are found while the user watches
		"API_KEY_PEPPER": pepper(),
		"API_KEYS_FILE":  keysFile,
		"LOG_FORMAT":     "text",
		"LOG_LEVEL":      level,
		"CORS_ORIGINS":   os.Getenv("CORS_ORIGINS"),
	}
	config, err := app.Load(pflag.NewFlagSet("", pflag.ContinueOnError), func(name string) string { return values[name] })
	if len(config.CORSOrigins) == 0 {
		config.CORSOrigins = loopbackOrigins()
	}
	return config, err
}

// pepper returns API_KEY_PEPPER if it is set, otherwise a fixed text that is not secret. Keys
// are random enough without it, and it must match the keys that an earlier run has left in the
// user's Redis.
func pepper() string { return cmp.Or(os.Getenv("API_KEY_PEPPER"), "statusdev-for-laptops-only") }

// loopbackOrigins are the origins of pages that are served on this machine, on any port.
func loopbackOrigins() (origins []string) {
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		for _, scheme := range []string{"http://", "https://"} {
			origins = append(origins, scheme+host, scheme+host+":*")
		}
	}
	return origins
}
