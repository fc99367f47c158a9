package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/pflag"

	"statuscache/cache"
	"statuscache/cmd/internal/app"
	"statuscache/httpapi"
	"statuscache/ingest/localaws"
)

type options struct {
	listenAddr string
	fallback   bool // to a free port
	redisURL   string
	quiet      bool
	verbose    bool
}

const (
	demoOwner = "demo"
	region    = "eu-west-1"
)

// run starts what the service stands on and then the service, until ctx ends.
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
	queues, queueURL, stopQueue, err := startQueue()
	if err != nil {
		return err
	}
	defer stopQueue()
	config, err := settings(o, queueURL)
	if err != nil {
		return err
	}
	p := newPipeline(queues)
	return app.Run(ctx, config, app.Program{
		Version: version, Log: stderr, Public: public, Admin: admin,
		AWS: func(context.Context) (aws.Config, error) {
			return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}, nil
		},
		Posts: func(c *cache.Cache) []httpapi.Post { return []httpapi.Post{p.generate(c)} },
		Background: func(ctx context.Context, c *cache.Cache) error {
			return demo(ctx, c, p, banner{
				out: stdout, api: "http://" + public.Addr().String(), admin: "http://" + admin.Addr().String(),
				redis: o.redisURL, queue: queueURL,
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
		_, _ = fmt.Fprintf(stdout, "%s is in use, so a free port is taken\n", o.listenAddr)
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return nil, fmt.Errorf("--listen-addr: %w", err)
}

// startRedis starts the embedded Redis. Its clock stands still unless it is
// moved, and nothing would ever expire.
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

// startQueue serves the embedded queue and its dead-letter queue.
func startQueue() (q *localaws.Queue, url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, fmt.Errorf("embedded queue: %w", err)
	}
	server := localaws.New()
	dead := server.CreateQueue("status-events-dead", nil)
	q = server.CreateQueue("status-events", map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"5"}`, dead.ARN()),
	})
	h := &http.Server{Handler: server, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = h.Serve(l) }() // ends with Close
	return q, q.URL("http://" + l.Addr().String()), func() {
		server.Shutdown()
		_ = h.Close()
	}, nil
}

// settings returns the settings of statusd that make it run here.
func settings(o options, queueURL string) (app.Config, error) {
	level := "warn"
	if o.verbose {
		level = "info"
	}
	values := map[string]string{
		"REDIS_URL":      o.redisURL,
		"SQS_QUEUE_URL":  queueURL,
		"API_KEY_PEPPER": rand.Text(), // keys are made at each start
		"LOG_FORMAT":     "text",
		"LOG_LEVEL":      level,
	}
	return app.Load(pflag.NewFlagSet("", pflag.ContinueOnError), func(name string) string { return values[name] })
}
