package cache

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestVersionsAscend lists observations from the earliest state to the latest.
func TestVersionsAscend(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1769414400123)
	at := func(start time.Time, attempt int, status Status, stopped bool, c Completeness) Execution {
		e := Execution{ARN: testMachine + "n", StartDate: start, RedriveCount: attempt, Status: status, Completeness: c, Source: FromEvent}
		if stopped {
			e.StopDate = start.Add(time.Minute)
		}
		return e
	}
	ascending := []Execution{
		{ARN: testMachine + "n", Source: FromRegistration, StartDate: start.Add(time.Hour), Status: Running},
		at(time.UnixMilli(1), MaxRedriveCount, Succeeded, true, Complete),
		at(start.Add(-time.Millisecond), MaxRedriveCount, Succeeded, true, Complete),
		at(start, 0, Running, false, Complete),
		at(start, 0, PendingRedrive, false, Complete),
		at(start, 0, Failed, true, Complete),
		at(start, 0, TimedOut, true, Complete),
		at(start, 0, Aborted, true, Complete),
		at(start, 0, Succeeded, true, OutputAwaited),
		at(start, 0, Succeeded, true, OutputGivenUp),
		at(start, 0, Succeeded, true, Complete),
		at(start, 1, Running, false, Complete),
		at(start, 2, "A_NEW_END", true, Complete),
		at(start, 10, Running, false, Complete),
		at(start, MaxRedriveCount, Running, false, Complete),
		at(start.Add(time.Millisecond), 0, Running, false, Complete),
		at(time.UnixMilli(10_000_000_000_000), 0, Running, false, Complete),
		at(time.UnixMilli(MaxTime), MaxRedriveCount, Succeeded, true, Complete),
	}
	var versions []Version
	for _, e := range ascending {
		v := e.Version()
		versions = append(versions, v)
		if parsed, ok := ParseVersion(string(v) + "-abc"); !ok || parsed != v {
			t.Errorf("%q is parsed as %q, %v", v, parsed, ok)
		}
		if v != Unobserved && (!v.StartDate().Equal(e.StartDate) || v.RedriveCount() != e.RedriveCount) {
			t.Errorf("%q holds %v and %d", v, v.StartDate(), v.RedriveCount())
		}
	}
	if !slices.IsSorted(versions) || len(slices.Compact(slices.Clone(versions))) != len(versions) {
		t.Errorf("not ascending: %q", versions)
	}
	if want := Version("01769414400123-00000-6-2"); versions[10] != want {
		t.Errorf("version %q, want %q", versions[10], want)
	}
}

// TestVersionDependsOnTheObservationOnly: an event, its replay and an answer of
// DescribeExecution about one transition are the same.
func TestVersionDependsOnTheObservationOnly(t *testing.T) {
	t.Parallel()
	e := failed(testARN(t, "same"), now(), "Boom: no")
	want := encode(&e, false)
	for _, source := range []Source{FromReplay, FromDescribe} {
		e.Source = source
		if got := encode(&e, false); got.version != want.version || got.hash != want.hash {
			t.Errorf("from %s: %s-%s, want %s-%s", source, got.version, got.hash, want.version, want.hash)
		}
	}
	e.ErrorMessage = "Boom: yes"
	if got := encode(&e, false); got.version != want.version || got.hash == want.hash {
		t.Error("another message must change the hash and nothing else")
	}
}

func TestAnUnknownWord(t *testing.T) {
	t.Parallel()
	e := Execution{Status: "A_NEW_WORD", StartDate: now()}
	if e.Terminal() || e.rank() != 1 || publicStatus(&e) != Running {
		t.Errorf("without a stop date: terminal %v, rank %d, %s", e.Terminal(), e.rank(), publicStatus(&e))
	}
	e.StopDate = now()
	if !e.Terminal() || e.rank() != 3 || publicStatus(&e) != Failed {
		t.Errorf("with a stop date: terminal %v, rank %d, %s", e.Terminal(), e.rank(), publicStatus(&e))
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	const good = "01769414400123-00002-6-2"
	for text, want := range map[string]bool{
		good: true, good + `-0123456789abcdef"`: true, string(Unobserved): true,
		"": false, good[:23]: false, `"` + good: false, "-" + good[1:]: false, " " + good: false,
		good[:14] + "_" + good[15:]: false, good[:22] + "_" + good[23:]: false, good[:20] + "0" + good[21:]: false,
		strings.ReplaceAll(good, "0", "O"): false, "0176941440012٣-00002-6-2": false,
	} {
		v, ok := ParseVersion(text)
		if ok != want || ok && string(v) != text[:versionLength] || !ok && v != "" {
			t.Errorf("%q: %q, %v", text, v, ok)
		}
	}
}
