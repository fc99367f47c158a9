package envelope

import (
	"strings"
	"testing"
)

// TestUnknownNamesTheLikelyOne: after a typing error the message suggests the intended name,
// and otherwise it lists the known names.
func TestUnknownNamesTheLikelyOne(t *testing.T) {
	t.Parallel()
	list := []string{"limit", "status", "stateMachineArn", "cursor", "q", "startedAfter", "startedBefore", "owner", "overdue"}
	for name, want := range map[string]string{
		"Limit": "did you mean limit?", "limits": "did you mean limit?", "lmit": "did you mean limit?", "statu": "did you mean status?",
		"state_machine_arn": "did you mean stateMachineArn?", "stateMachine": "did you mean stateMachineArn?", "started-after": "did you mean startedAfter?",
		"label[]":   "the known names are cursor, limit, overdue, owner, q, startedAfter, startedBefore, stateMachineArn and status",
		"page":      "the known names are cursor",
		"x":         "the known names are cursor",
		"statusé\n": "did you mean status?",
	} {
		if got := Unknown(name, list...).Message; !strings.Contains(got, want) || !strings.Contains(got, ": not known here; ") {
			t.Errorf("%q: %s, want %q", name, got, want)
		}
	}
	for _, c := range []struct{ got, want string }{
		{Unknown("x").Message, "x: not known here; this path has no parameters"},
		{Unknown("x", "window").Message, "x: not known here; the known names are window"},
		{Unknown(strings.Repeat("é", 100), "window").Message, strings.Repeat("é", maxShown) + "…: not known here; the known names are window"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
