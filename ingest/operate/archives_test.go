package operate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"statuscache/cache"
	"statuscache/ingest/event"
)

// heldStatuses returns the statuses of a machine that the archive contains.
func (w *world) heldStatuses(t *testing.T, name, machine string) (held []string) {
	t.Helper()
	a, err := w.archiveNamed(t.Context(), name)
	must(t, err)
	samples, err := samplesOf([]string{machine})
	must(t, err)
	left, err := unmatched([]string{aws.ToString(a.EventPattern)}, samples)
	must(t, err)
	for _, status := range statuses {
		if !slices.Contains(statusesOf(left), status) {
			held = append(held, status)
		}
	}
	return held
}

func TestArchiveScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := w.server.CreateStateMachine("Second", nil)
	for i, c := range []struct {
		archive  ArchiveScope
		machines []string
		step     string
		held     []string // of all machines up to here
	}{
		{ArchiveTerminal, []string{w.machine}, "created archive", terminalStatuses},
		{ArchiveTerminal, []string{w.machine}, "ok archive", terminalStatuses},
		{ArchiveAll, []string{w.machine}, "changed archive", statuses},
		{"", []string{w.machine}, "ok archive", statuses},
		{ArchiveTerminal, []string{w.machine}, "changed archive", terminalStatuses},
		{ArchiveTerminal, []string{second}, "changed archive", terminalStatuses},
		{"", []string{second, w.machine}, "changed archive", statuses},
		{ArchiveTerminal, []string{second}, "changed archive", terminalStatuses},
	} {
		got := steps(t, w.Operator, Plan{Name: planned, StateMachines: c.machines, Archive: c.archive})
		if step := got[len(got)-1]; step != c.step {
			t.Errorf("%d: %s, want %s", i, step, c.step)
		}
		all := []string{w.machine}
		if i >= 5 {
			all = append(all, second)
		}
		for _, machine := range all {
			if diff := cmp.Diff(c.held, w.heldStatuses(t, planned, machine)); diff != "" {
				t.Errorf("%d: %s (-want +got):\n%s", i, machine, diff)
			}
		}
		archive, err := w.LookUpArchive(t.Context(), planned)
		if want := len(c.held) < len(statuses); err != nil || (archive.Scope == ArchiveTerminal) != want {
			t.Errorf("%d: looked up as %v, %v", i, archive, err)
		}
		a, err := w.archiveNamed(t.Context(), planned)
		if err != nil || aws.ToInt32(a.RetentionDays) != archiveDays || aws.ToString(a.Description) != archiveDescription {
			t.Errorf("%d: %+v, %v", i, a, err)
		}
	}
}

// TestArchiveOfOthersIsNotNarrowed, because others may replay events that statusctl does not.
func TestArchiveOfOthersIsNotNarrowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.events.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{
		ArchiveName: aws.String("theirs"), EventSourceArn: aws.String("arn:aws:events:eu-west-1:000000000000:event-bus/default"), EventPattern: aws.String(`{"source":["aws.states"]}`),
	})
	must(t, err)
	got := steps(t, w.Operator, Plan{Name: planned, StateMachines: []string{w.machine}, Archive: ArchiveTerminal})
	if step := got[len(got)-1]; step != "ok archive" {
		t.Error(step)
	}
	if diff := cmp.Diff(statuses, w.heldStatuses(t, "theirs", w.machine)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnArchiveThatWasExtendedIsNotNarrowed: a user has added events of another service.
func TestAnArchiveThatWasExtendedIsNotNarrowed(t *testing.T) {
	t.Parallel()
	w, _ := provisioned(t)
	_, err := w.events.UpdateArchive(t.Context(), &eventbridge.UpdateArchiveInput{
		ArchiveName: aws.String(planned), EventPattern: aws.String(`{"source":["aws.states","aws.batch"]}`), Description: aws.String(archiveDescription),
	})
	must(t, err)
	_, err = w.Provision(t.Context(), Plan{Name: planned, StateMachines: []string{w.machine}, Archive: ArchiveTerminal}, func(Step) {})
	if err == nil || !strings.Contains(err.Error(), "its pattern cannot be changed") || !strings.Contains(err.Error(), "--name") {
		t.Error(err)
	}
	if diff := cmp.Diff(statuses, w.heldStatuses(t, planned, w.machine)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnknownArchiveScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, scope := range []ArchiveScope{"running", "Terminal", "all,terminal"} {
		_, err := w.Provision(t.Context(), Plan{Name: planned, StateMachines: []string{w.machine}, Archive: scope}, func(Step) {})
		if err == nil || !strings.Contains(err.Error(), "--archive") {
			t.Errorf("%s: %v", scope, err)
		}
	}
}

// TestDoctorKnowsAnArchiveOfTerminalStates with any name, and the fixes of other findings do
// not change it.
func TestDoctorKnowsAnArchiveOfTerminalStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plan := Plan{Name: planned, StateMachines: []string{w.machine}, Archive: ArchiveTerminal}
	steps(t, w.Operator, plan)
	a, err := w.archiveNamed(t.Context(), planned)
	must(t, err)
	set := SetUp{EventPath: EventPath{QueueURL: w.url(planned)}, StateMachines: plan.StateMachines}
	for _, name := range []string{planned, "by-hand"} {
		if name != planned {
			_, err := w.events.DeleteArchive(t.Context(), &eventbridge.DeleteArchiveInput{ArchiveName: aws.String(planned)})
			must(t, err)
			_, err = w.events.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{ArchiveName: &name, EventSourceArn: a.EventSourceArn, EventPattern: a.EventPattern})
			must(t, err)
		}
		said := ""
		for _, f := range w.Diagnose(t.Context(), set) {
			if !f.OK() {
				t.Errorf("%s: %+v", name, f)
			}
			if f.Check == checkArchived {
				said = f.Detail
			}
		}
		if !strings.Contains(said, "terminal states") || !strings.Contains(said, "audit") {
			t.Errorf("%s: %q", name, said)
		}
	}
	w.set(t, set.QueueURL, attrRedrive, "")
	for _, f := range w.Diagnose(t.Context(), set) {
		if !f.OK() && !strings.Contains(f.Fix, "statusctl provision --archive terminal --name") {
			t.Errorf("%+v", f)
		}
	}
}

// TestDoctorMissesATerminalState: an archive that lacks a terminal state, or has the starts of
// only some executions, is not an archive of terminal states.
func TestDoctorMissesATerminalState(t *testing.T) {
	t.Parallel()
	for _, listed := range []string{`"SUCCEEDED","FAILED","TIMED_OUT"`, `"ABORTED","SUCCEEDED","FAILED","RUNNING"`} {
		w, made := provisioned(t)
		_, err := w.events.UpdateArchive(t.Context(), &eventbridge.UpdateArchiveInput{
			ArchiveName: aws.String(planned), EventPattern: aws.String(`{"source":["aws.states"],"detail-type":["` + event.DetailType + `"],"detail":{"status":[` + listed + `]}}`),
		})
		must(t, err)
		found := false
		for _, f := range w.Diagnose(t.Context(), SetUp{EventPath: EventPath{QueueURL: made.QueueURL}, StateMachines: made.StateMachines}) {
			found = found || f.Check == checkArchived && !f.OK()
		}
		if !found {
			t.Errorf("%s: nothing is wrong", listed)
		}
	}
}

// TestReplayOfTerminalStates restores ends, but no starts.
func TestReplayOfTerminalStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	steps(t, w.Operator, Plan{Name: planned, StateMachines: []string{w.machine}, Archive: ArchiveTerminal})
	now := time.Now()
	for _, status := range statuses {
		event := strings.Replace(sampleKind{status: status}.eventOf(cache.MachineARN(w.machine)), "2026-01-01T00:00:00Z", now.UTC().Format(time.RFC3339), 1)
		w.server.Publish([]byte(event))
	}
	q, err := w.queueNamed(t.Context(), planned)
	must(t, err)
	if n := q.messages(); n != len(statuses) {
		t.Fatalf("%d events arrived", n)
	}
	order := ReplayOrder{Name: "again", Archive: planned, QueueURL: q.url, From: now.Add(-time.Hour), To: now.Add(time.Hour)}
	must(t, w.StartReplay(t.Context(), order))
	_, err = w.FollowReplay(t.Context(), order.Name, time.Millisecond, func(Replay) {})
	must(t, err)
	q, err = w.queueNamed(t.Context(), planned)
	must(t, err)
	if n := q.messages() - len(statuses); n != len(terminalStatuses) {
		t.Errorf("%d events came again, want %d", n, len(terminalStatuses))
	}
}
