package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

const pepper = "a pepper for the bench"

// recordName begins the name of an execution. A number follows, which loads vary.
const recordName = "bench-"

func recordARN(i int) string { return fmt.Sprintf("%s%s%0*d", arnPrefix, recordName, digits, i) }

// openCache opens the cache that a Redis holds.
func openCache(p *peer) (*cache.Cache, error) {
	return cache.Open(cache.Options{
		URL: "redis://" + p.addr, Prefix: benchPrefix, Retention: retention,
		Log: slog.New(slog.DiscardHandler),
	})
}

// createKey makes an API key of the one owner of all records.
func createKey(ctx context.Context, p *peer) (secret string, err error) {
	c, err := openCache(p)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(pepper), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	secret, _, err = keys.Create(ctx, apikeys.Key{Name: "bench", Owner: benchOwner, Scope: apikeys.ScopeRead})
	return secret, err
}

// fill puts count records into a Redis, whose answers have about size bytes, and returns the
// first record. The cache writes this one; the others are copies of it under their own names.
func fill(ctx context.Context, p *peer, count, size int) (*cache.Record, error) {
	c, err := openCache(p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	first, err := applyFirst(ctx, c, size)
	if err != nil {
		return nil, err
	}
	if err := copyRecords(ctx, p, count); err != nil {
		return nil, err
	}
	last := cache.ARN(recordARN(count - 1))
	if r, err := c.Get(ctx, last); err != nil {
		return nil, fmt.Errorf("a copy of a record cannot be read: %w", err)
	} else if !bytes.Contains(r.Plain.Body, []byte(last)) {
		return nil, errors.New("a copy of a record is not about its own execution")
	}
	return first, nil
}

func applyFirst(ctx context.Context, c *cache.Cache, size int) (*cache.Record, error) {
	e := ended(0, size)
	if o := c.Apply(ctx, []cache.Execution{e})[0]; o.Err != nil || o.Verdict != cache.Applied {
		return nil, fmt.Errorf("the first record was not applied: %+v", o)
	}
	return c.Get(ctx, e.ARN)
}

// ended is the execution with a number, whose answer has about size bytes.
func ended(i, size int) cache.Execution {
	const aroundOutput = 250 // bytes of an answer, about
	return cache.Execution{
		ARN: cache.ARN(recordARN(i)), Status: cache.Succeeded, Completeness: cache.Complete, Source: cache.FromEvent,
		StartDate: time.Now().Add(-time.Minute), StopDate: time.Now(), Owner: benchOwner, InputType: "url",
		Output: fmt.Appendf(nil, `{"rules":[],"note":"%s"}`, words(size-aroundOutput)),
	}
}

// fillFormat puts count records into a Redis, all written by the cache: in the compact format,
// or in that of the earlier releases, as the cache does beside one of them and for a day after it.
func fillFormat(ctx context.Context, p *peer, count, size int, compact bool) error {
	c, err := openCache(p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if !compact {
		if err := c.DB().Writers.Set(ctx, c.DB().Names.OlderSeen, time.Now().UnixMilli(), 0).Err(); err != nil {
			return err
		}
	}
	for begin := 0; begin < count; begin += batchSize {
		batch := make([]cache.Execution, batchSize)
		for i := range batch {
			batch[i] = ended(begin+i, size)
		}
		for _, o := range c.Apply(ctx, batch) {
			if o.Err != nil || o.Verdict != cache.Applied {
				return fmt.Errorf("a record was not applied: %+v", o)
			}
		}
	}
	return checkFormat(ctx, c, compact)
}

// checkFormat makes sure that records have the format that is to be measured: a compact record
// does not contain its ARN.
func checkFormat(ctx context.Context, c *cache.Cache, compact bool) error {
	arn := recordARN(0)
	text, err := c.DB().Readers.Get(ctx, recordKey(arn)).Result()
	if err == nil && (text[0] == compactFormat) != compact {
		err = fmt.Errorf("a record begins with %q", text[0])
	}
	return err
}

// compactFormat is the first byte of a compact record.
const compactFormat = '4'

// recordKey is the name of a record in Redis, as cache has it.
func recordKey(arn string) string {
	return fmt.Sprintf("%s:{%d}:execution:%s", benchPrefix, crc32.ChecksumIEEE([]byte(arn))%64, arn)
}

func copyRecords(ctx context.Context, p *peer, count int) error {
	client := redis.NewClient(&redis.Options{Addr: p.addr})
	defer func() { _ = client.Close() }()
	name := recordARN(0)
	record, err := client.Get(ctx, recordKey(name)).Bytes()
	if err != nil {
		return fmt.Errorf("the record that the cache wrote is not where it should be: %w", err)
	}
	if bytes.Contains(record, []byte(name)) {
		return errors.New("the record holds its name, so it cannot be copied as it is")
	}
	return inPipelines(ctx, client, count, func(pipe redis.Pipeliner, i int) {
		pipe.Set(ctx, recordKey(recordARN(i)), record, retention)
	})
}

// inPipelines queues something for each number below count.
func inPipelines(ctx context.Context, client *redis.Client, count int, queue func(redis.Pipeliner, int)) error {
	const each = 500
	for begin := 0; begin < count; begin += each {
		pipe := client.Pipeline()
		for i := begin; i < min(begin+each, count); i++ {
			queue(pipe, i)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("fill Redis: %w", err)
		}
	}
	return nil
}

// Prefixes of the keys for peers that do not know records.
const (
	bodyPrefix = "body-" // text: the answer
	hashPrefix = "hash-" // hash: answer and entity tag
)

// fillPeers puts the same answer into a Redis count times, in the forms that
// others read.
func fillPeers(ctx context.Context, p *peer, count int, r *cache.Record) error {
	client := redis.NewClient(&redis.Options{Addr: p.addr})
	defer func() { _ = client.Close() }()
	return inPipelines(ctx, client, count, func(pipe redis.Pipeliner, i int) {
		number := fmt.Sprintf("%0*d", digits, i)
		body := bytes.Replace(r.Plain.Body, []byte(recordARN(0)), []byte(recordARN(i)), 1)
		pipe.Set(ctx, bodyPrefix+number, body, retention)
		pipe.HSet(ctx, hashPrefix+number, "body", body, "etag", r.Plain.ETag[0])
		pipe.Expire(ctx, hashPrefix+number, retention)
	})
}
