// Command chartcheck writes the files of the chart that are derived from other files: the copies
// of the rules and dashboards, the table of values in its README, and the settings in its schema.
// Its tests check that these files are current, and what the chart renders.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	chartFolder   = "../../deploy/helm/statuscache"
	sourcesFolder = "../../deploy/observability"
)

func main() {
	files, err := derived()
	for file, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(chartFolder, file), text, 0o644))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// derived returns the files of the chart that come from others, by their names in it.
func derived() (map[string][]byte, error) {
	readme, err := readme()
	if err != nil {
		return nil, err
	}
	schema, err := schema()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"README.md": readme, "values.schema.json": schema}
	dashboards, err := filepath.Glob(filepath.Join(sourcesFolder, "dashboards", "*.json"))
	if err != nil {
		return nil, err
	}
	for _, source := range append(dashboards, filepath.Join(sourcesFolder, "alerts.yaml"), filepath.Join(sourcesFolder, "recording.yaml")) {
		name, err := filepath.Rel(sourcesFolder, source)
		if err != nil {
			return nil, err
		}
		if files[filepath.Join("files", name)], err = os.ReadFile(source); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// valuesHeading begins the part of the README that is generated.
const valuesHeading = "## Values\n"

// readme returns the README with the table of the values as they are.
func readme() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(chartFolder, "README.md"))
	if err != nil {
		return nil, err
	}
	before, _, found := bytes.Cut(text, []byte(valuesHeading))
	if !found {
		return nil, fmt.Errorf("README.md has no heading %q", strings.TrimSpace(valuesHeading))
	}
	rows, err := documented()
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(before)
	out.WriteString(valuesHeading + "\n| value | default | meaning |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", r.name, r.preset, r.meaning)
	}
	return out.Bytes(), nil
}

// row is a value of the chart as its README lists it.
type row struct{ name, preset, meaning string }

// documented returns the values that have a comment. Its error names those that have none,
// neither themselves nor around them.
func documented() ([]row, error) {
	text, err := os.ReadFile(filepath.Join(chartFolder, "values.yaml"))
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	var rows []row
	return rows, collect(&rows, "", document.Content[0])
}

// collect adds the rows of a mapping.
func collect(rows *[]row, prefix string, mapping *yaml.Node) (err error) {
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := prefix + key.Value
		switch meaning := comment(key.HeadComment); {
		case meaning != "":
			preset, failed := flow(value)
			err = errors.Join(err, failed)
			*rows = append(*rows, row{name, preset, meaning})
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			err = errors.Join(err, collect(rows, name+".", value))
		default:
			err = errors.Join(err, fmt.Errorf("values.yaml:%d: %s has no comment that begins with # --", key.Line, name))
		}
	}
	return err
}

// comment returns what follows the mark of a comment, on one line.
func comment(head string) string {
	_, text, _ := strings.Cut("\n"+head, "\n# -- ")
	return strings.ReplaceAll(strings.Join(strings.Split(text, "\n# "), " "), "|", `\|`)
}

// flow returns a value on one line, shortened where it is long.
func flow(value *yaml.Node) (string, error) {
	restyle(value)
	text, err := yaml.Marshal(value)
	if err != nil {
		return "", err
	}
	line := strings.Join(strings.Fields(string(text)), " ")
	if len(line) > 80 {
		line = line[:76] + " …"
	}
	return "`" + line + "`", nil
}

func restyle(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		restyle(c)
	}
}
