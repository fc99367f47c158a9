package headers

import (
	"strings"
)

// Matches reports whether an If-None-Match matches tag, and by which tag of its
// own it names it; that is empty where it just takes any. The comparison is the
// weak one of RFC 9110 §13.1.2. What a front has made of our tag names ours.
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

// sameState reports whether two tags of ours differ in nothing but content
// codings. A front that compresses an answer makes another tag of ours by adding
// the coding: Apache "…-gzip" or "…;gzip" and "…-br", Jetty "…--gzip".
func sameState(given, ours string) bool {
	n := len(given)
	if n < 2 || given[0] != '"' || given[n-1] != '"' {
		return false
	}
	// Our own coding is a suffix too. What is left of our tag has to stand in front.
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

// isCoding reports whether a front may call a content coding so.
func isCoding(s string) bool {
	switch strings.ToLower(s) {
	case "gzip", "gz", "br", "brotli", "zstd", "zst", "deflate", "df", "snappy", "compress", "bzip2", "xz", "lz4", "dcb", "dcz", "identity":
		return true
	}
	return false
}
