package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The lines of values.schema.json around the lists of settings and of files.
const (
	settingsBegin = "    \"settings\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,\n      \"properties\": {\n"
	filesBegin    = "    \"files\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,\n      \"properties\": {\n"
	listEnd       = "\n      }\n"
)

// setByChart are the settings that follow from other values of the chart.
var setByChart = []string{"ROLE", "LISTEN_ADDR", "ADMIN_ADDR"}

var (
	settingRow  = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (?:`([^`]*)`)?")
	schemaEntry = regexp.MustCompile(`(?m)^        "([A-Z_]+)": `)
	secretNames = regexp.MustCompile(`"([A-Z_]+)": \{"\$ref": "#/\$defs/secretKey"\}`)
)

// schema returns the schema of the values with each setting in the table of the main README,
// which a test compares with the settings of statusd. Entries that are there stay unchanged,
// because some of them have a pattern. A new secret must be moved to secrets by hand.
func schema() ([]byte, error) {
	settings, err := documentedSettings()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(chartFolder, "values.schema.json"))
	if err != nil {
		return nil, err
	}
	var secrets, files, plain []string
	for _, found := range secretNames.FindAllStringSubmatch(string(text), -1) {
		secrets = append(secrets, found[1])
	}
	for _, each := range settings {
		switch name := each.name; {
		case slices.Contains(setByChart, name):
		case strings.HasSuffix(name, "_FILE"):
			files = append(files, name)
		default:
			plain = append(plain, name)
		}
	}
	all, err := relist(string(text), settingsBegin, plain, secrets, `{"type": "string", "minLength": 1}`)
	if err == nil {
		all, err = relist(all, filesBegin, files, nil, `{"$ref": "#/$defs/file"}`)
	}
	return []byte(all), err
}

// setting is a setting of statusd, with its default.
type setting struct{ name, preset string }

// documentedSettings returns the settings of statusd, in the order of the main README.
func documentedSettings() (all []setting, err error) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		return nil, err
	}
	_, section, found := strings.Cut(string(text), "\n## Settings\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, row := range settingRow.FindAllStringSubmatch(section, -1) {
		all = append(all, setting{row[1], row[2]})
	}
	if !found || len(all) == 0 {
		return nil, errors.New("README.md has no table of settings")
	}
	return all, nil
}

// relist replaces the list that follows begin with the given names. A name without an entry gets
// the default one, unless it is one of absent.
func relist(text, begin string, names, absent []string, preset string) (string, error) {
	head, rest, found := strings.Cut(text, begin)
	list, tail, ended := strings.Cut(rest, listEnd)
	if !found || !ended {
		return "", errors.New("values.schema.json: the list of settings or files is not where it was")
	}
	entries := map[string]string{}
	places := schemaEntry.FindAllStringSubmatchIndex(list, -1)
	for i, at := range places {
		end := len(list)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		entries[list[at[2]:at[3]]] = strings.TrimRight(list[at[0]:end], ",\n")
	}
	var lines []string
	for _, name := range names {
		if entry, has := entries[name]; has {
			lines = append(lines, entry)
		} else if !slices.Contains(absent, name) {
			lines = append(lines, `        "`+name+`": `+preset)
		}
	}
	return head + begin + strings.Join(lines, ",\n") + listEnd + tail, nil
}
