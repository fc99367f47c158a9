package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// missConnections is how many reads are under way at once.
const missConnections = 64

// misses compares reads that all need Redis.
func (b *bench) misses(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	count := 100_000
	if b.quick {
		count = 10_000
	}
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	record, err := fill(ctx, redis, count, bodySize)
	if err != nil {
		return nil, err
	}
	if err := fillPeers(ctx, redis, count, record); err != nil {
		return nil, err
	}
	serve, ours, err := b.missing(ctx, ps, statusd, redis, count)
	if err != nil {
		return nil, err
	}
	all := []contender{ours}
	hmget, err := ps.self("hmget", envRedis+"="+redis.addr)
	if err != nil {
		return nil, err
	}
	lua, err := ps.nginxRedis(ctx, redis)
	if notAbsent(err) != nil {
		return nil, err
	}
	for _, each := range []struct {
		name    string
		peer    *peer
		request request
	}{
		{hmgetHandler, hmget, numbered("/"+hashPrefix, "", count)},
		{nginxRedis, lua, numbered("/"+bodyPrefix, "", count)},
	} {
		if each.peer == nil {
			continue
		}
		if err := answers(ctx, each.peer, each.request, "", record.Plain.Body); err != nil {
			return nil, err
		}
		l := load{addr: each.peer.addr, connections: missConnections, request: each.request}
		all = append(all, underLoad(each.name, l, b.turn, each.peer, redis))
	}
	c, err := interleave(ctx, b.rounds, all)
	if err != nil {
		return nil, err
	}
	figure := fmt.Sprintf("miss of 1 kB, %d at once, %d records", missConnections, count)
	return []line{
		compare(figure, c, statusd, hmgetHandler, atMost(0.6)),
		compare("", c, statusd, nginxRedis, atMost(1)),
	}, allMisses(ctx, serve)
}

// missing starts a statusd whose near cache holds nothing, and the load that
// asks it for count records.
func (b *bench) missing(ctx context.Context, ps *peers, name string, redis *peer, count int) (*peer, contender, error) {
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, contender{}, err
	}
	serve, err := ps.self("serve", serveEnv(redis, holdsNothing)...)
	if err != nil {
		return nil, contender{}, err
	}
	// Waits until it serves.
	if _, _, err := get(ctx, "http://"+serve.addr+statusPath+recordARN(0), key); err != nil {
		return nil, contender{}, err
	}
	l := load{addr: serve.addr, connections: missConnections, request: statusRequest(key, count)}
	return serve, underLoad(name, l, b.turn, serve, redis), nil
}

// allMisses returns an error if a read was answered without Redis.
func allMisses(ctx context.Context, serve *peer) error {
	now, err := serve.counters(ctx)
	if err != nil {
		return err
	}
	if now[nearHits] > now[nearMisses]/1000 {
		return fmt.Errorf("%.0f reads that should miss the near cache hit it", now[nearHits])
	}
	return nil
}

// growth compares misses among few records with misses among many.
func (b *bench) growth(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	few, many := 1000, 1_000_000
	if b.quick {
		many = 100_000
	}
	const answerSize = 400 // bytes, so that a million fit into a small machine
	counts := []int{few, many}
	servers := make([]*peer, len(counts))
	for i := range servers {
		var err error
		if servers[i], err = ps.redis(ctx); err != nil {
			return nil, err
		}
	}
	var g errgroup.Group
	for i, redis := range servers {
		g.Go(func() error {
			_, err := fill(ctx, redis, counts[i], answerSize)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var all []contender
	for i, redis := range servers {
		_, c, err := b.missing(ctx, ps, name(counts[i]), redis, counts[i])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	c, err := interleave(ctx, b.rounds, all)
	if err != nil {
		return nil, err
	}
	figure := fmt.Sprintf("miss of 0.4 kB, %d at once, %d records", missConnections, many)
	return []line{compare(figure, c, name(many), name(few), atMost(1.05))}, nil
}

// formats compares misses of records of the compact format with misses of the format of the
// earlier releases, for answers that are stored as they are and for compressed ones.
func (b *bench) formats(ctx context.Context) ([]line, error) {
	var lines []line
	for _, each := range []struct {
		figure string
		size   int
	}{{"miss of 0.4 kB, by format", 400}, {"miss of 1 kB, by format", bodySize}, {"miss of 4 kB, by format", 4 << 10}} {
		c, err := b.missesByFormat(ctx, each.size)
		if err != nil {
			return nil, err
		}
		lines = append(lines, compare(each.figure, c, compactRecords, earlierRecords, atMost(1)))
	}
	return lines, nil
}

// Names of the contenders.
const (
	compactRecords = "compact records"
	earlierRecords = "records of earlier releases"
)

func (b *bench) missesByFormat(ctx context.Context, size int) (costs, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	count := 50_000
	if b.quick {
		count = 5_000
	}
	var all []contender
	for _, name := range []string{compactRecords, earlierRecords} {
		redis, err := ps.redis(ctx)
		if err != nil {
			return nil, err
		}
		if err := fillFormat(ctx, redis, count, size, name == compactRecords); err != nil {
			return nil, err
		}
		_, c, err := b.missing(ctx, ps, name, redis, count)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return interleave(ctx, b.rounds, all)
}

func name(count int) string { return fmt.Sprintf("%s, %d records", statusd, count) }
