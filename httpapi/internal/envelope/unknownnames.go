package envelope

import (
	"slices"
	"strings"
	"unicode"
)

// maxShown is how many characters of a name an answer repeats.
const maxShown = 40

// Unknown returns a ValidationError (400) about an unknown name in the request. It
// suggests a similar name, or otherwise lists the known names.
func Unknown(name string, known ...string) *Error {
	if len(known) == 0 {
		return Invalid("%s: not known here; this path has no parameters", Shown(name))
	}
	if like := nearest(name, known); like != "" {
		return Invalid("%s: not known here; did you mean %s?", Shown(name), like)
	}
	known = slices.Sorted(slices.Values(known))
	text := strings.Join(known[:len(known)-1], ", ")
	if text != "" {
		text += " and "
	}
	return Invalid("%s: not known here; the known names are %s", Shown(name), text+known[len(known)-1])
}

// Shown returns a name of the request in a form that an answer may repeat: short and
// printable.
func Shown(name string) string {
	runes := []rune(strings.ToValidUTF8(name[:min(len(name), 4*(maxShown+1))], "?"))
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '?'
		}
	}
	if len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return string(runes)
}

// nearest returns the known name that is similar: the same except for case and marks, one
// that begins with it, or one with up to two typing errors. It is empty if there is none.
func nearest(name string, known []string) string {
	if len(name) > maxShown {
		return ""
	}
	plain := plainly(name)
	best, least := "", 3
	for _, k := range slices.Sorted(slices.Values(known)) {
		target := plainly(k)
		d := distance(plain, target)
		if len(plain) > 2 && (strings.HasPrefix(target, plain) || strings.HasPrefix(plain, target) && len(target) > 2) {
			d = min(d, 1)
		}
		if d < least && d*2 < len(target) {
			best, least = k, d
		}
	}
	return best
}

// plainly removes the characters in which spellings of a name differ.
func plainly(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", "[]", "").Replace(strings.ToLower(name))
}

// distance is the number of bytes to insert, delete or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}
