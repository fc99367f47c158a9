package envelope

import (
	"slices"
	"strings"
	"unicode"
)

// maxShown is how many characters of a name an answer repeats.
const maxShown = 40

// Unknown returns a ValidationError (400) about a name of the request. It says which name
// may have been meant, or else which names are known.
func Unknown(name string, known ...string) *Error {
	if len(known) == 0 {
		return Invalid("%s: not known here; no parameter is", Shown(name))
	}
	if like := nearest(name, known); like != "" {
		return Invalid("%s: not known here; did you mean %s?", Shown(name), like)
	}
	known = slices.Sorted(slices.Values(known))
	text := strings.Join(known[:len(known)-1], ", ")
	if text != "" {
		text += " and "
	}
	return Invalid("%s: not known here; known are %s", Shown(name), text+known[len(known)-1])
}

// Shown returns a name of the request as an answer may repeat it: short, and in characters
// that print.
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

// nearest returns the known name that a name is like: but for case and marks, its beginning,
// or up to two slips of the keyboard. It is empty if there is none.
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

// plainly leaves out what spellings of a name differ in.
func plainly(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", "[]", "").Replace(strings.ToLower(name))
}

// distance counts the bytes to insert, delete or change.
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
