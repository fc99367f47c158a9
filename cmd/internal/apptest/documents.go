package apptest

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Block is a block of commands in a document.
type Block struct {
	Document string // its path in the repository
	Section  string // the nearest heading before it
	Commands []string
}

// Root returns the root of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("this is not in a repository: ", err)
	return ""
}

// Documents returns the text of every Markdown file of the repository by its path.
func Documents(t testing.TB) map[string]string {
	t.Helper()
	root, found := Root(t), map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "node_modules", "testdata"}, d.Name())):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Blocks returns the blocks of commands of all documents in order: blocks that are marked
// console (the lines after a prompt are commands), sh or bash, and indented blocks.
func Blocks(t testing.TB) (all []Block) {
	t.Helper()
	documents := Documents(t)
	names := make([]string, 0, len(documents))
	for name := range documents {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, blocksOf(name, documents[name])...)
	}
	return all
}

var fence = regexp.MustCompile("^ *```(.*)$")

// blocksOf reads one document.
func blocksOf(name, text string) (all []Block) {
	section, language, in, indented := "", "", false, false
	add := func(command string) { all[len(all)-1].Commands = append(all[len(all)-1].Commands, command) }
	lines := bufio.NewScanner(strings.NewReader(strings.ReplaceAll(text, "\\\n", "")))
	for lines.Scan() {
		line := lines.Text()
		if mark := fence.FindStringSubmatch(line); mark != nil {
			in, language = !in, mark[1]
			if in && slices.Contains([]string{"console", "sh", "bash"}, language) {
				all = append(all, Block{Document: name, Section: section})
			}
			continue
		}
		command, prompted := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		shell := language == "sh" || language == "bash"
		switch {
		case in && (language == "console" && prompted || shell && command != ""):
			add(command)
		case in:
		case strings.HasPrefix(line, "#"):
			section = strings.TrimSpace(strings.TrimLeft(line, "#"))
		case strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "     "):
			if !indented {
				all = append(all, Block{Document: name, Section: section})
			}
			add(command)
		}
		indented = !in && strings.HasPrefix(line, "    ")
	}
	return all
}

var separator = regexp.MustCompile(`[;&|()]`)

var quoted = regexp.MustCompile(`'[^']*'|"(?:[^"$]|\$[^(])*"`)

// Calls returns the arguments of each call of a program in a command. Quoted arguments are
// replaced by a word.
func Calls(command, program string) (all [][]string) {
	command = separator.ReplaceAllString(quoted.ReplaceAllString(command, "text"), "$0$0") // the operator ends one call and begins another
	called := regexp.MustCompile(`(?:^|[;&|(]\s*)(?:env(?: -u \w+)* )?(?:\w+=\S* )*(?:bin/)?` + regexp.QuoteMeta(program) + `((?:[ \t]+[^\s|;&)<>#]+)*)(?:[\s;&|)]|$)`)
	for _, call := range called.FindAllStringSubmatch(command, -1) {
		all = append(all, strings.Fields(call[1]))
	}
	return all
}

var (
	fenced = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	span   = regexp.MustCompile("`([^`]+)`")
)

// DocumentedCalls returns the arguments of each call of a program that a document shows, in a
// block or in its text, with the document.
func DocumentedCalls(t testing.TB, program string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	note := func(document, command string) {
		for _, args := range Calls(command, program) {
			found[document+": "+program+" "+strings.Join(args, " ")] = args
		}
	}
	for _, b := range Blocks(t) {
		for _, command := range b.Commands {
			note(b.Document, command)
		}
	}
	for name, text := range Documents(t) {
		for _, code := range span.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if code := strings.Join(strings.Fields(code[1]), " "); strings.HasPrefix(code, program+" ") || strings.HasPrefix(code, "bin/"+program+" ") {
				note(name, code)
			}
		}
	}
	return found
}
