package record

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// TestInternedTextsShareTheirBytes, and a text that has lost its place is still right.
func TestInternedTextsShareTheirBytes(t *testing.T) {
	t.Parallel()
	for i := range 10 * len(interned) {
		text := fmt.Sprint("Error.", i%3000)
		one, two := Intern(strings.Clone(text)), Intern(strings.Clone(text))
		if one != text || two != text {
			t.Fatalf("%q became %q and %q", text, one, two)
		}
		if i < 1000 && unsafe.StringData(one) != unsafe.StringData(two) {
			t.Errorf("%q was copied", text)
		}
	}
}
