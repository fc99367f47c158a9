package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Counters of serve.
const (
	nearHits    = "statuscache_near_cache_hits_total"
	nearMisses  = "statuscache_near_cache_misses_total"
	readBatches = "statuscache_redis_read_batches_total"
)

// counters reads the metrics of a peer.
func (p *peer) counters(ctx context.Context) (map[string]float64, error) {
	body, _, err := get(ctx, "http://"+p.admin+"/metrics", "")
	if err != nil {
		return nil, err
	}
	return parseMetrics(strings.NewReader(string(body))), nil
}

// parseMetrics returns values by their names and labels as they stand.
func parseMetrics(r io.Reader) map[string]float64 {
	values := map[string]float64{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil && name != "#" {
			values[name] = value
		}
	}
	return values
}

// flush empties a Redis.
func (p *peer) flush(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: p.addr})
	defer func() { _ = client.Close() }()
	return client.FlushAll(ctx).Err()
}

// get asks once, outside of what is measured.
func get(ctx context.Context, url, token string) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true, TLSClientConfig: clientTLS()}, Timeout: startLimit}
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, answer.Status, body)
	}
	return body, answer.Header, err
}

// awaitReady returns when a peer is ready, as a load balancer waits for it.
func (p *peer) awaitReady(ctx context.Context) error {
	for end := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		if _, _, err := get(ctx, "http://"+p.admin+"/readyz", ""); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// awaitTrust returns when the near cache of a peer keeps records, which it does only while the
// change feed works.
func (p *peer) awaitTrust(ctx context.Context, url, token string) error {
	for end := time.Now().Add(startLimit); time.Now().Before(end); {
		if _, _, err := get(ctx, url, token); err != nil {
			return err
		}
		now, err := p.counters(ctx)
		if err != nil {
			return err
		}
		if now[nearHits] > 0 {
			return nil
		}
	}
	return fmt.Errorf("the near cache holds nothing after %v", startLimit)
}
