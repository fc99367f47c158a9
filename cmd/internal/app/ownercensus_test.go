package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/diagnose"
)

// TestTheCensusIsLoggedOnceAnHour also checks what health reports of a census.
func TestTheCensusIsLoggedOnceAnHour(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := newCensus(&service{
		config: Config{AuditEvery: time.Minute}, log: slog.New(slog.NewTextHandler(&log, nil)), metrics: prometheus.NewRegistry(),
	})
	begin := time.Now()
	c.report(diagnose.Census{Looked: 10, Ownerless: 3}, begin)
	if log.Len() > 0 || len(c.notes()) > 0 {
		t.Errorf("well: %q, %q", c.notes(), &log)
	}
	for i := range 120 {
		c.report(diagnose.Census{Looked: 10, Ownerless: 8, OwnerlessExample: "arn:x", Silent: 2, SilentExample: "arn:y"}, begin.Add(time.Duration(i)*censusEvery))
	}
	notes := strings.Join(c.notes(), "\n")
	if notes != "owners: 8 of the 10 newest executions have none, so only operators can read them\nregistrations: 2 have had no event for 3m0s or longer" {
		t.Errorf("notes %q", notes)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "example=arn:x") || !strings.Contains(log.String(), "example=arn:y") {
		t.Errorf("%d lines in an hour: %s", n, &log)
	}
}
