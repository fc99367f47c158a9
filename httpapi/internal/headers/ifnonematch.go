package headers

import (
	"strings"
)

// Matches reports whether an If-None-Match matches tag, and returns the matching tag in
// it, empty for *. The comparison is the weak one of RFC 9110 §13.1.2. A form of our tag
// that a proxy has changed also matches.
func Matches(ifNoneMatch []string, tag string) (match bool, named string) {
	for _, list := range ifNoneMatch {
		for each := range strings.SplitSeq(list, ",") {
			each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
			if each == tag || sameState(each, tag) {
				return true, each
			}
			match = match || each == "*"
		}
	}
	return match, ""
}

// sameState reports whether two tags of ours differ only in content codings. A proxy that
// compresses an answer adds the coding to our tag: Apache "…-gzip" or "…;gzip" and
// "…-br", Jetty "…--gzip".
func sameState(given, ours string) bool {
	n := len(given)
	if n < 2 || given[0] != '"' || given[n-1] != '"' {
		return false
	}
	// Our coding is a suffix too. The rest of our tag must be at the beginning.
	base := withoutCodings(ours[:len(ours)-1])
	return strings.HasPrefix(given, base) && withoutCodings(given[:n-1]) == base
}

// withoutCodings cuts the content codings off the end of a tag that has no closing
// quote.
func withoutCodings(tag string) string {
	const separators = "-;+:._/"
	for {
		i := strings.LastIndexAny(tag, separators)
		if i < 0 || !isCoding(tag[i+1:]) {
			return tag
		}
		tag = strings.TrimSuffix(strings.TrimRight(tag[:i], separators), "-x") // as in x-gzip
	}
}

// isCoding reports whether a text is a name that a proxy may use for a content coding.
func isCoding(s string) bool {
	switch strings.ToLower(s) {
	case "gzip", "gz", "br", "brotli", "zstd", "zst", "deflate", "df", "snappy", "compress", "bzip2", "xz", "lz4", "dcb", "dcz", "identity":
		return true
	}
	return false
}
