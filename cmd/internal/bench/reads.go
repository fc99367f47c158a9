package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"statuscache/cache"
)

// bodySize is the length of an answer of 1 kB. It is just not compressed.
const bodySize = 1000

// Names of the contenders, as the table has them.
const (
	statusd      = "statusd"
	bareHandler  = "bare net/http handler"
	fastHandler  = "bare fasthttp handler"
	nginxReturn  = "nginx return 200"
	nginxProxy   = "nginx as proxy"
	webdisGet    = "webdis GET"
	nginxRedis   = "nginx+lua+redis GET"
	hmgetHandler = "net/http + go-redis HMGET"
)

const statusPath = "/v1/status/"

// statusRequest asks statusd for one of count records.
func statusRequest(key string, count int) request {
	return numbered(statusPath+arnPrefix+recordName, "", count, "Authorization: Bearer "+key)
}

// serveEnv are the settings of a statusd that only serves. Its rate limit is never reached, but
// is checked.
func serveEnv(redis *peer, more ...string) []string {
	return append([]string{
		"ROLE=api", "REDIS_URL=redis://" + redis.addr, "API_KEY_PEPPER=" + pepper, "RATE_LIMIT=1000000",
	}, more...)
}

// holdsNothing makes a near cache that is too small for any record.
const holdsNothing = envNearBytes + "=1"

// hotReads compares reads that the near cache answers.
func (b *bench) hotReads(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	record, err := fill(ctx, redis, 1, bodySize)
	if err != nil {
		return nil, err
	}
	if err := fillPeers(ctx, redis, 1, record); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	serve, err := ps.self("serve", serveEnv(redis)...)
	if err != nil {
		return nil, err
	}
	all, err := b.hotContenders(ctx, ps, redis, serve, record, key)
	if err != nil {
		return nil, err
	}
	c, err := interleave(ctx, b.rounds, all)
	if err != nil {
		return nil, err
	}
	if err := mostlyHits(ctx, serve); err != nil {
		return nil, err
	}
	return []line{
		compare("hot read of 1 kB, CPU per request", c, statusd, bareHandler, atMost(0.6)),
		compare("", c, statusd, fastHandler, target{}),
		compare("", c, statusd, nginxReturn, atMost(1.7)),
		compare("", c, statusd, webdisGet, atMost(0.4)),
		compare("", c, statusd, nginxRedis, atMost(0.45)),
	}, nil
}

// hotContenders starts the installed programs that hot reads are compared with, and checks that
// all of them give the same answer.
func (b *bench) hotContenders(ctx context.Context, ps *peers, redis, serve *peer, record *cache.Record, key string) ([]contender, error) {
	url := "http://" + serve.addr + statusPath + string(record.ARN)
	if err := serve.awaitTrust(ctx, url, key); err != nil {
		return nil, err
	}
	floor, err := b.startFloor(ctx, ps, url, key)
	if err != nil {
		return nil, err
	}
	fast, err := ps.fasthttp(ctx, b.answerFile())
	if notAbsent(err) != nil {
		return nil, err
	}
	simple, err1 := ps.nginxReturn(ctx, string(record.Plain.Body))
	lua, err2 := ps.nginxRedis(ctx, redis)
	webdis, err3 := ps.webdis(ctx, redis)
	if err := errors.Join(notAbsent(err1), notAbsent(err2), notAbsent(err3)); err != nil {
		return nil, err
	}
	var all []contender
	for _, each := range []struct {
		name    string
		peer    *peer
		redis   bool
		request request
	}{
		{statusd, serve, true, statusRequest(key, 0)},
		{bareHandler, floor, false, statusRequest(key, 0)},
		{fastHandler, fast, false, statusRequest(key, 0)},
		{nginxReturn, simple, false, statusRequest(key, 0)},
		{webdisGet, webdis, true, numbered("/GET/"+bodyPrefix, ".txt", 0)},
		{nginxRedis, lua, true, numbered("/"+bodyPrefix, "", 0)},
	} {
		if each.peer == nil {
			continue
		}
		if err := answers(ctx, each.peer, each.request, key, record.Plain.Body); err != nil {
			return nil, err
		}
		counted := []*peer{each.peer}
		if each.redis {
			counted = append(counted, redis)
		}
		const connections = 16 // notes in main.go tell it
		all = append(all, underLoad(each.name, load{addr: each.peer.addr, connections: connections, request: each.request}, b.turn, counted...))
	}
	return all, nil
}

// notAbsent returns err, or nil if err means that something is not installed.
func notAbsent(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

// answers checks that a peer gives the expected answer.
func answers(ctx context.Context, p *peer, q request, key string, want []byte) error {
	path, _, _ := strings.Cut(strings.TrimPrefix(q.text, "GET "), " ")
	body, _, err := get(ctx, "http://"+p.addr+path, key)
	if err == nil && !bytes.Equal(body, want) {
		err = fmt.Errorf("%s answers %d bytes and not the %d of the others", path, len(body), len(want))
	}
	return err
}

// startFloor starts the bare handler with the answer that a URL gives now.
func (b *bench) startFloor(ctx context.Context, ps *peers, url, key string, env ...string) (*peer, error) {
	body, header, err := get(ctx, url, key)
	if err != nil {
		return nil, err
	}
	answer := fixedAnswer{Body: body}
	for name, values := range header {
		if name != "Date" && name != "Connection" { // net/http's own
			answer.Headers = append(answer.Headers, [2]string{name, values[0]})
		}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.answerFile(), text, 0o600); err != nil {
		return nil, err
	}
	return ps.self("floor", append(env, envAnswer+"="+b.answerFile())...)
}

// answerFile is where startFloor writes the answer that bare handlers give.
func (b *bench) answerFile() string { return filepath.Join(b.dir, "answer.json") }

// mostlyHits checks that the near cache has answered nearly all hot reads.
func mostlyHits(ctx context.Context, serve *peer) error {
	now, err := serve.counters(ctx)
	if err != nil {
		return err
	}
	if now[nearMisses] > now[nearHits]/1000 {
		return fmt.Errorf("of the hot reads %.0f were not answered by the near cache", now[nearMisses])
	}
	return nil
}
