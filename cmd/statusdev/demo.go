package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/ingest/operate"
)

// banner has what a user needs to begin.
type banner struct {
	out         io.Writer
	api, admin  string
	redis, aws  string
	made        operate.Provisioned
	keysFile    string
	keys        demoKeys
	executedARN string
	keepToken   bool // the dashboard stays signed in when the browser reloads it
}

// demoKeys are API keys for trying the service.
type demoKeys struct{ reader, operator, registrar string }

// demo creates API keys, prints the banner, and keeps a few executions running.
func demo(ctx context.Context, c *cache.Cache, keys *apikeys.Keys, p *pipeline, b banner, busy bool) error {
	made, revoke, err := makeKeys(ctx, keys, b.keysFile)
	defer revoke()
	if err != nil {
		return err
	}
	first, _, err := p.start(ctx, c, demoOwner, request{InputType: "url"}, nil)
	if err != nil {
		return err
	}
	b.keys, b.executedARN = made, string(first)
	b.print()
	for busy && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + rand.N(3*time.Second)):
			// If Redis is down now, the next attempt may succeed.
			_, _, _ = p.start(ctx, c, demoOwner, request{InputType: []string{"url", "cve", "text"}[rand.N(3)]}, nil)
		}
	}
	<-ctx.Done()
	return nil
}

// makeKeys creates a key of each scope and writes the keys to a file, so that they
// survive the loss of Redis. Because --redis may outlive this process, revoke ends them.
func makeKeys(ctx context.Context, keys *apikeys.Keys, file string) (made demoKeys, revoke func(), err error) {
	var stored []apikeys.Key
	revoke = func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		for _, key := range stored {
			_, _ = keys.Revoke(ending, key.Prefix)
		}
	}
	for _, each := range []struct {
		secret *string
		key    apikeys.Key
	}{
		{&made.reader, apikeys.Key{Name: "statusdev", Owner: demoOwner, Scope: apikeys.ScopeRead}},
		{&made.operator, apikeys.Key{Name: "statusdev operator", Owner: "operator", Scope: apikeys.ScopeReadAll}},
		{&made.registrar, apikeys.Key{Name: "statusdev register", Owner: "generate", Scope: apikeys.ScopeRegister}},
	} {
		secret, key, err := keys.Create(ctx, each.key)
		if err != nil {
			return made, revoke, err
		}
		*each.secret = secret
		stored = append(stored, key)
	}
	return made, revoke, apikeys.WriteFile(file, stored)
}

// dashboard is the URL that opens the dashboard and signs the user in. The page removes the
// key from the URL at once, and browsers never send what follows #.
func (b banner) dashboard() string {
	url := b.api + "/#token=" + b.keys.operator
	if b.keepToken {
		url += "&keep=tab"
	}
	return url
}

func (b banner) print() {
	_, _ = fmt.Fprintf(b.out, `
dashboard %s

API      %s/v1/status/{executionArn}
generate %s/v1/generate
list     %s/v1/executions
docs     %s/docs
health   %s/v1/health
metrics  %s/metrics
Redis    %s
AWS      %s (SQS, EventBridge and Step Functions, simulated)

An API key, valid until this ends:
%s
A key that reads all executions, and a key that may only register executions:
%s
%s

Wait for an execution that has just begun:
curl -H 'Authorization: Bearer %s' '%s/v1/status/%s?wait=20'

Follow everything:
curl -N -H 'Authorization: Bearer %s' -H 'Accept: text/event-stream' %s/v1/executions

Start another; it runs 3 to 10 seconds:
curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"inputType":"cve","simulate":"redriven"}' %s/v1/generate

Settings for the operator commands of statusctl (keys, doctor, explain, replay, backfill, provision, dlq):
export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
export SQS_QUEUE_URL=%s STATE_MACHINES=%s
export REDIS_URL=%s OWNER_PATH=tenantId LABEL_PATHS=type=inputType,life=life STATUS_URL=%s STATUS_TOKEN=%s
export API_KEY_PEPPER=%s API_KEYS_FILE=%s

Create a key: statusctl keys create --owner %s --name mine
With these settings, another statusd takes a share of the events:
statusd --listen-addr 127.0.0.1:0 --admin-addr 127.0.0.1:0

Ctrl-C ends it.
`, b.dashboard(), b.api, b.api, b.api, b.api, b.api, b.admin, b.redis, b.aws, b.keys.reader, b.keys.operator, b.keys.registrar,
		b.keys.reader, b.api, b.executedARN, b.keys.reader, b.api, b.keys.reader, b.api,
		b.aws, b.made.Region, b.made.QueueURL, strings.Join(b.made.StateMachines, ","), b.redis, b.api, b.keys.reader, pepper(), b.keysFile, demoOwner)
}
