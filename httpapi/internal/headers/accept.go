package headers

import (
	"net/http"
	"strconv"
	"strings"

	"statuscache/httpapi/internal/envelope"
)

// WantsStream reports whether the request prefers a stream to JSON. A stream does not end
// while an execution runs, so only a request that prefers a stream gets it: if both are
// equally acceptable, or neither is, the answer is JSON.
func WantsStream(r *http.Request) bool {
	accept := r.Header["Accept"]
	if len(accept) == 0 || r.Method != http.MethodGet {
		return false
	}
	json, stream := preference{media: envelope.JSONMedia}, preference{media: envelope.EventStreamMedia}
	for _, list := range accept {
		for list != "" {
			var each string
			each, list = cutUnquoted(list, ',')
			media, parameters := cutUnquoted(each, ';')
			media = strings.TrimSpace(media)
			json.consider(media, parameters)
			stream.consider(media, parameters)
		}
	}
	return stream.weight > json.weight
}

// preference is how much a client prefers a media type, by RFC 9110 §12.5.1: the weight
// of the most specific range counts.
type preference struct {
	media  string
	weight float64
	exact  int // how specific the best range is so far
}

// consider takes a media range into account if it includes the type.
func (p *preference) consider(media, parameters string) {
	exact := exactness(media, p.media)
	if exact == 0 || exact < p.exact {
		return
	}
	weight, ok := weightOf(parameters)
	if !ok && p.media == envelope.EventStreamMedia {
		return // only a well-formed preference gets a stream
	}
	if exact > p.exact || weight > p.weight {
		p.exact, p.weight = exact, weight
	}
}

// exactness returns how specifically a media range names a type: not at all (0), as */*
// (1), as type/* (2) or exactly (3).
func exactness(media, typ string) int {
	kind, _, _ := strings.Cut(typ, "/")
	switch n := len(media); {
	case strings.EqualFold(media, typ):
		return 3
	case n == len(kind)+2 && media[n-2:] == "/*" && strings.EqualFold(media[:n-2], kind):
		return 2
	case media == "*/*":
		return 1
	}
	return 0
}

// weightOf returns the weight among the parameters of a range, 1 if there is none
// or, with ok false, if it is malformed.
func weightOf(parameters string) (weight float64, ok bool) {
	for parameters != "" {
		var each string
		each, parameters = cutUnquoted(parameters, ';')
		name, value, _ := strings.Cut(each, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		value = strings.TrimSpace(value)
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || strings.Trim(value, "0123456789.") != "" || q > 1 {
			return 1, false
		}
		return q, true
	}
	return 1, true
}

// cutUnquoted is strings.Cut at the first separator outside of quoted strings.
func cutUnquoted(s string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == separator && !quoted:
			return s[:i], s[i+1:]
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		}
	}
	return s, ""
}

// AcceptsGzip reads an Accept-Encoding.
func AcceptsGzip(accept []string) bool {
	for _, list := range accept {
		for each := range strings.SplitSeq(list, ",") {
			coding, parameters, _ := strings.Cut(each, ";")
			if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && !strings.EqualFold(coding, "x-gzip") {
				continue
			}
			q, ok := weightOf(parameters)
			return ok && q > 0
		}
	}
	return false
}
