package app

import (
	"fmt"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/httpapi"
	"statuscache/ingest"
)

// parts are the components that health and readiness check.
func (s *service) parts() []httpapi.Part {
	parts := []httpapi.Part{{Name: "redis", Ready: s.cache.DB().Ready}}
	if s.consumer == nil {
		return parts
	}
	for _, part := range ingest.Parts() {
		parts = append(parts, httpapi.Part{Name: "ingest " + string(part), Ready: func() error { return s.failure(part) }})
	}
	return parts
}

// warmLimit is how long a process may be not ready because it reads the counters. Without them,
// the first answers take longer, but they are correct.
const warmLimit = 10 * time.Second

// warming reports whether the counters are being read for the first time.
func (s *service) warming() bool {
	read := s.stats.Begun() && s.lists.Begun()
	return s.config.Role != Ingest && !read && time.Since(s.begun) < warmLimit
}

// failure returns why events are not applied. An outage of Redis is not included: the
// part for Redis reports it.
func (s *service) failure(part ingest.Part) error {
	err := s.consumer.Failure(part)
	if err != nil && cache.Unreachable(err) && part == ingest.PartStore && s.cache.DB().Ready() != nil {
		return nil
	}
	return err
}

// concerns returns what /v1/health reports: wrong settings, losses that are neither restored
// nor dismissed, and why Redis accepts no writes, unless a part of ingest reports that.
func (s *service) concerns() []string {
	all := s.settings.Wrong()
	if n := s.worklist.Unattended(); n > 0 {
		all = append(all, fmt.Sprintf("outputs: %d expired outputs were requested, but none is fetched: start a process with ROLE=ingest and a HYDRATE_RATE above 0", n))
	}
	if err := s.stats.Err(); err != nil && s.cache.DB().Ready() == nil {
		brief, _ := cache.Explain(err)
		all = append(all, "statistics: the counters cannot be read: "+brief)
	}
	lost := s.losses.Lost()
	if lost == nil {
		if err := s.cache.DB().Writable(); err != nil && s.consumer == nil && s.cache.DB().Ready() == nil {
			brief, _ := cache.Explain(err)
			all = append(all, "redis: "+brief)
		}
		return all
	}
	return append(all, fmt.Sprintf("records: lost, noticed at %s (%s): %s; statusctl doctor --dismiss-loss ends this notice",
		lost.At.UTC().Format(time.RFC3339), lost.Why, strings.Join(lost.Lines(len(s.config.StateMachines) > 0), "; ")))
}
