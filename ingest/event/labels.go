package event

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
)

// LabelPaths are the paths of labels in the input of an execution.
type LabelPaths []labelPath

type labelPath struct {
	name   string
	path   []string
	member []byte // the last name of the path, quoted
}

// ParseLabelPaths parses name=path pairs that are separated by commas, such as
// ruleset=ruleSetId,customer=meta.customerId. A path has the form of ParseOwnerPath. An empty
// text means no labels.
func ParseLabelPaths(s string) (LabelPaths, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var paths LabelPaths
	known := map[string]bool{}
	for pair := range strings.SplitSeq(s, ",") {
		name, text, found := strings.Cut(strings.TrimSpace(pair), "=")
		if !found || !cache.ValidLabelName(name) {
			return nil, fmt.Errorf("%q is not name=path, such as ruleset=ruleSetId; a name has 1 to %d letters, digits, dots, hyphens and underscores", pair, cache.MaxLabelName)
		}
		path, err := ParseOwnerPath(text)
		if err != nil {
			return nil, fmt.Errorf("label %s: %w", name, err)
		}
		if len(path) == 0 {
			return nil, fmt.Errorf("label %s: its path is empty", name)
		}
		if known[name] {
			return nil, fmt.Errorf("label %s is named more than once", name)
		}
		known[name] = true
		paths = append(paths, labelPath{name, path, []byte(`"` + path[len(path)-1] + `"`)})
	}
	if len(paths) > cache.MaxLabels {
		return nil, fmt.Errorf("%d labels, but at most %d are allowed", len(paths), cache.MaxLabels)
	}
	return paths, nil
}

// of returns the labels in an input, nil if there are none.
func (p LabelPaths) of(input jsontext.Value) (labels cache.Labels) {
	for _, each := range p {
		// Most inputs are only searched byte by byte. A name with an escape would not be found.
		if !bytes.Contains(input, each.member) && !bytes.ContainsRune(input, '\\') {
			continue
		}
		if value := labelOf(find(input, each.path)); value != "" {
			if labels == nil {
				labels = make(cache.Labels, len(p))
			}
			labels[each.name] = value
		}
	}
	return labels
}

// labelOf accepts a string, or a number as it is written. Other or longer values are not
// labels.
func labelOf(v jsontext.Value) string {
	if len(v) == 0 {
		return ""
	}
	value := text(v)
	if v.Kind() == '0' {
		value = string(v)
	}
	if !cache.ValidLabelValue(value) {
		return ""
	}
	return value
}
