package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressBar(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false)
		p.unit = "messages"
		for done := range 101 {
			p.update(float64(done), 200, nil)
			<-time.After(10 * time.Millisecond)
		}
		p.end()
		shown := strings.Split(out.String(), "\r\033[K")
		if last := shown[len(shown)-1]; last != "[===============               ]  50 %  100 of 200 messages  100/s  1s left\n" {
			t.Errorf("at the end: %q", last)
		}
		if n := len(shown) - 1; n < 10 || n > 12 {
			t.Errorf("drawn %d times in a second", n)
		}
	})
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, true)
		for done := range 51 {
			p.update(10+float64(done), 110, map[string]any{"state": "RUNNING"})
			<-time.After(100 * time.Millisecond)
		}
		p.end()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) < 5 || len(lines) > 7 {
			t.Errorf("%d lines in 5 s", len(lines))
		}
		var last map[string]any
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
			t.Fatal(err)
		}
		// The 10 messages at the beginning do not count for the rate.
		if last["done"] != 60.0 || last["total"] != 110.0 || last["rate"] != 10.0 || last["secondsLeft"] != 5.0 || last["state"] != "RUNNING" {
			t.Errorf("last line %v", last)
		}
	})
}

func TestBar(t *testing.T) {
	t.Parallel()
	for want, c := range map[string][2]float64{"  0 %": {-1, 5}, "100 %": {0, 0}, " 99 %": {99.9, 100}} {
		if got := bar(c[0], c[1]); !strings.HasSuffix(got, want) || len(got) != barWidth+8 {
			t.Errorf("%v: %q", c, got)
		}
	}
	var out bytes.Buffer
	newProgress(&out, false).end()
	if out.Len() > 0 {
		t.Errorf("without a report, %q is shown", &out)
	}
}
