package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"strings"
	"time"

	"statuscache/cmd/statusctl/internal/terminal"
)

// How often progress is shown, even if it is reported more often.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = time.Second
	barWidth  = 30 // characters
)

// progress shows the progress of a long operation: on a terminal as a bar with rate and
// time left, otherwise as lines of JSON.
type progress struct {
	w     io.Writer
	lines bool
	unit  string // unit of the work, for people
	note  string // for people, instead of rate and time left, which would be meaningless
	begun time.Time
	first float64 // work that was already done at the beginning
	shown time.Time
	held  func() // shows the last report if it has not been shown yet
}

func newProgress(w io.Writer, jsonLines bool) *progress { return &progress{w: w, lines: jsonLines} }

// update reports that done of total is done. Fields go into the line of JSON.
func (p *progress) update(done, total float64, fields map[string]any) {
	now := time.Now()
	if p.begun.IsZero() {
		p.begun, p.first = now, done
	}
	every := barEvery
	if p.lines {
		every = lineEvery
	}
	p.held = func() { p.show(done, total, now.Sub(p.begun), fields) }
	if now.Sub(p.shown) >= every {
		p.shown = now
		p.flush()
	}
}

func (p *progress) flush() {
	if p.held != nil {
		p.held()
		p.held = nil
	}
}

// end shows the last report and ends the line.
func (p *progress) end() {
	p.flush()
	if !p.lines && !p.begun.IsZero() {
		_, _ = fmt.Fprintln(p.w)
	}
}

func (p *progress) show(done, total float64, spent time.Duration, fields map[string]any) {
	rate := 0.0
	if spent > 0 {
		rate = (done - p.first) / spent.Seconds()
	}
	left, known := time.Duration(0), rate > 0 && total >= done
	if known {
		known = (total-done)/rate < math.MaxInt32 // before that, a rate would be meaningless
		left = time.Duration(math.Min((total-done)/rate, math.MaxInt32) * float64(time.Second))
	}
	if p.lines {
		p.line(done, total, rate, left, known, fields)
		return
	}
	line := bar(done, total) + fmt.Sprintf("  %.6g of %.6g %s", round(done), round(total), p.unit)
	switch {
	case p.note != "":
		line += "  " + p.note
	case known:
		line += fmt.Sprintf("  %.4g/s  %v left", rate, left.Round(time.Second))
	default:
		line += fmt.Sprintf("  %.4g/s", rate)
	}
	_, _ = fmt.Fprint(p.w, "\r\033[K"+terminal.Fit(p.w, line))
}

func (p *progress) line(done, total, rate float64, left time.Duration, known bool, fields map[string]any) {
	all := map[string]any{"done": round(done), "total": round(total), "rate": round(rate), "unit": p.unit}
	if known {
		all["secondsLeft"] = math.Ceil(left.Seconds())
	}
	maps.Copy(all, fields)
	_ = json.NewEncoder(p.w).Encode(all) // the reader may have closed its end
}

func round(n float64) float64 { return math.Round(n*100) / 100 }

// bar draws the share of total that is done. If total is 0, the bar is full.
func bar(done, total float64) string {
	part := 1.0
	if total > 0 {
		part = min(max(done/total, 0), 1)
	}
	full := int(part * barWidth)
	return fmt.Sprintf("[%s%s] %3d %%", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), int(part*100))
}
