package cache

import (
	"errors"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// TestRegistrationOfAReusedName: what an earlier execution of the same name
// wrote is never startDate to the owner of the later one.
func TestRegistrationOfAReusedName(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	old := succeeded(testARN(t, "reused"), now().Add(-72*time.Hour), `"of ada"`)
	old.Owner = "ada"
	if _, err := c.Register(t.Context(), Registration{ARN: old.ARN, Owner: "bob", StartDate: now()}); err != nil {
		t.Fatal(err)
	}
	apply(t, c, old) // late, or a replay
	if r := stored(t, c, old.ARN); r.Owner != "bob" || r.Version != Unobserved {
		t.Errorf("owner %q gets version %s", r.Owner, r.Version)
	}
	ancient := old
	ancient.StartDate, ancient.StopDate = now().AddDate(0, 0, -100), now().AddDate(0, 0, -100)
	apply(t, c, ancient, running(old.ARN, now()))
	if r := stored(t, c, old.ARN); r == nil || r.Owner != "bob" || r.Version == Unobserved {
		t.Errorf("what has expired undid the registration: %+v", r)
	}
	other := old
	other.ARN = testARN(t, "reused-2")
	apply(t, c, other)
	if _, err := c.Register(t.Context(), Registration{ARN: other.ARN, Owner: "bob", StartDate: now()}); !errors.Is(err, ErrOwnerConflict) {
		t.Errorf("the other way round: %v", err)
	}
}

// TestStartDateOfARegistrationIsOnlyShown: however wrong it is, the owner holds.
func TestStartDateOfARegistrationIsOnlyShown(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	for name, startDate := range map[string]time.Time{
		"none": {}, "right": now(), "a year ago": now().AddDate(-1, 0, 0), "in a year": now().AddDate(1, 0, 0), "long ago": time.UnixMilli(1),
	} {
		arn := testARN(t, "startDate-"+name[:1]+name[len(name)-2:])
		if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "bob", StartDate: startDate}); err != nil {
			t.Fatal(err)
		}
		if r := stored(t, c, arn); !startDate.IsZero() && !r.StartDate.Equal(startDate) || r.Owner != "bob" {
			t.Errorf("%s: shown as %v of %q", name, r.StartDate, r.Owner)
		}
		created, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "bob", StartDate: startDate})
		if created || err != nil {
			t.Errorf("%s: again: %v, %v", name, created, err)
		}
		apply(t, c, running(arn, now()))
		if r := stored(t, c, arn); r.Owner != "bob" || r.Version == Unobserved {
			t.Errorf("%s: then %q, version %s", name, r.Owner, r.Version)
		}
	}
}

// TestEventAfterALateRegistration: who registers late says when it began.
func TestEventAfterALateRegistration(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	e := succeeded(testARN(t, "late-event"), now().Add(-72*time.Hour), `1`)
	if _, err := c.Register(t.Context(), Registration{ARN: e.ARN, Owner: "bob", StartDate: e.StartDate}); err != nil {
		t.Fatal(err)
	}
	apply(t, c, e)
	if r := stored(t, c, e.ARN); r.Owner != "bob" || r.Status != Succeeded {
		t.Errorf("%s of %q", r.Status, r.Owner)
	}
}

// TestLateRegistration: an execution that began days ago may still be given an
// owner by who knows when it began.
func TestLateRegistration(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	e := succeeded(testARN(t, "late-owner"), now().Add(-72*time.Hour), `1`)
	apply(t, c, e)
	if _, err := c.Register(t.Context(), Registration{ARN: e.ARN, Owner: "bob"}); !errors.Is(err, ErrOwnerConflict) {
		t.Errorf("without a date it may be another execution: %v", err)
	}
	if _, err := c.Register(t.Context(), Registration{ARN: e.ARN, Owner: "bob", StartDate: e.StartDate}); err != nil {
		t.Error(err)
	}
	if r := stored(t, c, e.ARN); r.Owner != "bob" {
		t.Errorf("owner %q", r.Owner)
	}
}
