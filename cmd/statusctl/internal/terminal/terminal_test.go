package terminal

import (
	"bytes"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "y": true, "": false, "\n": false, "n\n": false, "yet\n": false} {
		var out bytes.Buffer
		if got := Confirm(t.Context(), strings.NewReader(answer), &out, "sure?"); got != want || !strings.HasPrefix(out.String(), "sure? [y/N] ") {
			t.Errorf("%q: %v %q", answer, got, &out)
		}
	}
}
