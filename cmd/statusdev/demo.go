package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/ingest"
)

// banner is what a person needs to begin.
type banner struct {
	out              io.Writer
	api, admin       string
	redis, aws       string
	made             ingest.Provisioned
	keysFile         string
	key, executedARN string
}

// demo makes an API key, says how to begin, and keeps a few executions going.
func demo(ctx context.Context, c *cache.Cache, p *pipeline, b banner, busy bool) error {
	secret, key, err := c.CreateKey(ctx, cache.Key{Name: "statusdev", Owner: demoOwner, Scope: cache.ScopeRead})
	if err != nil {
		return err
	}
	if err := cache.WriteKeysFile(b.keysFile, []cache.Key{key}); err != nil { // so that it survives an emptied Redis
		return err
	}
	defer func() { // a Redis that stays must not keep it
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = c.RevokeKey(ending, key.Prefix)
	}()
	first, _, err := p.start(ctx, c, demoOwner, request{InputType: "url"}, nil)
	if err != nil {
		return err
	}
	b.key, b.executedARN = secret, string(first)
	b.print()
	for busy && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + rand.N(3*time.Second)):
			// Should Redis be away, the next one may do better.
			_, _, _ = p.start(ctx, c, demoOwner, request{InputType: []string{"url", "cve", "text"}[rand.N(3)]}, nil)
		}
	}
	<-ctx.Done()
	return nil
}

func (b banner) print() {
	_, _ = fmt.Fprintf(b.out, `
API      %s/v1/status/{executionArn}
generate %s/v1/generate
list     %s/v1/executions
docs     %s/docs
health   %s/v1/health
metrics  %s/metrics
Redis    %s
AWS      %s (SQS, EventBridge and Step Functions, pretended)

An API key, good until this ends:
%s

Wait for an execution that has just begun:
curl -H 'Authorization: Bearer %s' '%s/v1/status/%s?wait=20'

Follow everything:
curl -N -H 'Authorization: Bearer %s' -H 'Accept: text/event-stream' %s/v1/executions

Start another; it runs 3 to 10 seconds:
curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"inputType":"cve","simulate":"redriven"}' %s/v1/generate

What statusctl needs for doctor, explain, replay, backfill, provision and dlq here:
export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
export SQS_QUEUE_URL=%s STATE_MACHINES=%s
export REDIS_URL=%s OWNER_PATH=tenantId STATUS_URL=%s STATUS_TOKEN=%s

Ctrl-C ends it.
`, b.api, b.api, b.api, b.api, b.api, b.admin, b.redis, b.aws, b.key, b.key, b.api, b.executedARN, b.key, b.api, b.key, b.api,
		b.aws, b.made.Region, b.made.QueueURL, strings.Join(b.made.StateMachines, ","), b.redis, b.api, b.key)
}
