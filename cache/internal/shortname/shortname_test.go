package shortname

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// TestShortFormsNameTheirExecutions: what has a short form is found by it again, and the rest is
// its ARN.
func TestShortFormsNameTheirExecutions(t *testing.T) {
	t.Parallel()
	const machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"
	id := [MachineLength]byte{1, 'a', 'r', 'n', ':', 0}
	d := Directory{Load: func(context.Context) (map[string]string, error) {
		return map[string]string{string(id[:]): machine}, nil
	}}
	for _, arn := range []string{
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline:0f9a6c1e-1111-4222-8333-444455556666",
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline:0F9A6C1E-1111-4222-8333-444455556666",
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline:0f9a6c1e-1111-4222-8333-44445555666g",
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline:n",
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline:" + strings.Repeat("ö", 80),
		"arn:aws:states:eu-west-1:123456789012:express:Pipeline/Map:a:b",
	} {
		short := Short(arn, id)
		if got, err := d.ARNs(t.Context(), []string{short, arn}); err != nil || got[0] != arn || got[1] != arn {
			t.Errorf("%s is found as %q, %v", arn, got, err)
		}
		if strings.Contains(arn, ":express:") != (short == arn) {
			t.Errorf("%s has the short form %q", arn, short)
		}
		if strings.HasSuffix(arn, "6666") && !strings.Contains(arn, "F") && len(short) != 23 {
			t.Errorf("%s takes %d bytes", arn, len(short))
		}
	}
}

// TestUnknownStateMachines: what belongs to one is left out, and they are looked for again, but
// not with every member.
func TestUnknownStateMachines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // names may be read again after a second, and none passes here
		loads, failure := 0, errors.New("no Redis")
		d := Directory{Load: func(context.Context) (map[string]string, error) {
			if loads++; loads == 1 {
				return nil, failure
			}
			return map[string]string{}, nil
		}}
		short := Short("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:n", [MachineLength]byte{})
		if _, err := d.ARNs(t.Context(), []string{short}); !errors.Is(err, failure) {
			t.Errorf("without names: %v", err)
		}
		for range 3 {
			if got, err := d.ARNs(t.Context(), []string{short}); err != nil || got[0] != "" {
				t.Errorf("found as %q, %v", got, err)
			}
		}
		if loads > 3 {
			t.Errorf("names were read %d times", loads)
		}
	})
}
