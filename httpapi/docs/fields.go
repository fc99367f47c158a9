package docs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// field is one field of a body, with its path, such as data.status.
type field struct {
	Name, Type, Description string
	Required                bool
}

// body returns the media type and the fields of a request or an answer. fields is empty
// if the body is not JSON.
func (d reader) body(of map[string]any) (mediaType string, fields []field) {
	content := object(of["content"])
	for _, mediaType := range slices.Sorted(maps.Keys(content)) {
		d.fields(&fields, "", object(content[mediaType])["schema"], true)
		return mediaType, fields
	}
	return "", nil
}

// fields appends the fields of a schema and of its alternatives. A field of several
// alternatives is listed once, with all its types.
func (d reader) fields(all *[]field, prefix string, schema any, required bool) {
	s := d.resolve(schema)
	if items := s["items"]; items != nil {
		d.fields(all, prefix+"[]", items, required)
	}
	for _, how := range []string{"allOf", "oneOf", "anyOf"} {
		for _, part := range list(s[how]) {
			d.fields(all, prefix, part, required && how == "allOf")
		}
	}
	needed := list(s["required"])
	properties := object(s["properties"])
	for _, name := range fieldOrder(needed, properties) {
		place := strings.TrimPrefix(prefix+"."+name, ".")
		property := d.resolve(properties[name])
		addField(all, field{
			Name: place, Type: typeOf(property), Description: text(property["description"]),
			Required: required && slices.Contains(needed, any(name)),
		})
		d.fields(all, place, property, required)
	}
}

// fieldOrder returns the names of properties: first the required ones in their order,
// then the others by name.
func fieldOrder(needed []any, properties map[string]any) []string {
	var order []string
	for _, name := range needed {
		if properties[text(name)] != nil {
			order = append(order, text(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	return order
}

func addField(all *[]field, f field) {
	i := slices.IndexFunc(*all, func(other field) bool { return other.Name == f.Name })
	if i < 0 {
		*all = append(*all, f)
		return
	}
	known := &(*all)[i]
	if !slices.Contains(strings.Split(known.Type, " or "), f.Type) {
		known.Type += " or " + f.Type
	}
	known.Description = cmp.Or(known.Description, f.Description)
}

// typeOf names the values that a schema allows.
func typeOf(schema map[string]any) string {
	switch {
	case schema["const"] != nil:
		return fmt.Sprint(schema["const"])
	case schema["enum"] != nil:
		return joined(list(schema["enum"]))
	case text(schema["type"]) == "array":
		return "array"
	case schema["type"] == nil && (schema["oneOf"] != nil || schema["allOf"] != nil || schema["properties"] != nil):
		return "object"
	case schema["type"] == nil:
		return "any JSON"
	case text(schema["type"]) != "":
		return text(schema["type"])
	}
	return joined(list(schema["type"]))
}

func joined(values []any) string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = fmt.Sprint(value)
	}
	return strings.Join(words, " or ")
}
