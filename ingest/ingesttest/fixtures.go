// Package ingesttest gives tests the event fixtures of ingest/event/testdata/events.
package ingesttest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Fixtures returns the body of every fixture, by its file name without the extension. For
// a fixture that is a whole SQS message, it returns the body of the message.
func Fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(here), "..", "event", "testdata", "events", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	bodies := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var message struct{ Body string }
		if err := json.Unmarshal(text, &message); err == nil && message.Body != "" {
			text = []byte(message.Body)
		}
		bodies[strings.TrimSuffix(filepath.Base(file), ".json")] = text
	}
	return bodies
}

var (
	dates = regexp.MustCompile(`"(startDate|stopDate|redriveDate)":(\s*)(\d{13})`)
	times = regexp.MustCompile(`"time":(\s*)"([^"]+)"`)
)

// ShiftToNow shifts the dates of an event so that its execution started a minute ago. The
// intervals do not change, so the events of one execution still match.
func ShiftToNow(t testing.TB, body []byte) []byte {
	t.Helper()
	first := regexp.MustCompile(`"startDate":\s*(\d{13})`).FindSubmatch(body)
	if first == nil {
		return body
	}
	start, err := strconv.ParseInt(string(first[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	shift := time.Since(time.UnixMilli(start)).Truncate(time.Minute) - time.Minute
	body = dates.ReplaceAllFunc(body, func(m []byte) []byte {
		parts := dates.FindSubmatch(m)
		ms, _ := strconv.ParseInt(string(parts[3]), 10, 64) // 13 digits
		return fmt.Appendf(nil, `"%s":%s%d`, parts[1], parts[2], ms+shift.Milliseconds())
	})
	return times.ReplaceAllFunc(body, func(m []byte) []byte {
		parts := times.FindSubmatch(m)
		at, err := time.Parse(time.RFC3339, string(parts[2]))
		if err != nil {
			return m
		}
		return fmt.Appendf(nil, `"time":%s"%s"`, parts[1], at.Add(shift).UTC().Format(time.RFC3339))
	})
}
