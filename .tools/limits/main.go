// Command limits checks how large packages, functions and types are. Its argument is the
// root of the repository.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	maxFiles         = 25   // of a package, without tests
	maxLines         = 3500 // of a package, without tests
	maxFunctionLines = 60
	maxMethods       = 20 // exported ones of a type
)

// unbounded are packages that may be larger: the stand-in for AWS and the bench.
var unbounded = []string{"ingest/localaws", "cmd/internal/bench"}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: limits ROOT")
		os.Exit(2)
	}
	broken, err := check(os.DirFS(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(2)
	}
	for _, b := range broken {
		fmt.Println(b)
	}
	if len(broken) > 0 {
		os.Exit(1)
	}
}

// size is what is counted.
type size struct {
	files, lines map[string]int // by package
	methods      map[string]int // by package and type
	broken       []string
}

// check returns what is larger than its limit, one line for each, sorted.
func check(root fs.FS) ([]string, error) {
	s := size{files: map[string]int{}, lines: map[string]int{}, methods: map[string]int{}}
	for _, top := range []string{"cache", "cmd", "httpapi", "ingest"} {
		err := fs.WalkDir(root, top, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules"):
				return fs.SkipDir
			case d.IsDir() || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			return s.add(root, name)
		})
		if err != nil {
			return nil, err
		}
	}
	if len(s.files) == 0 {
		return nil, fmt.Errorf("there is no Go file")
	}
	s.compare()
	slices.Sort(s.broken)
	return s.broken, nil
}

func (s *size) add(root fs.FS, name string) error {
	extension := path.Ext(name)
	if extension != ".go" && extension != ".lua" {
		return nil
	}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	if extension == ".lua" {
		s.addLua(name, text)
		return nil
	}
	s.files[path.Dir(name)]++
	s.lines[path.Dir(name)] += bytes.Count(text, []byte("\n"))
	return s.addGo(name, text)
}

func (s *size) addGo(name string, text []byte) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, declared := range file.Decls {
		f, ok := declared.(*ast.FuncDecl)
		if !ok {
			continue
		}
		begin := set.Position(f.Pos()).Line
		s.function(name, begin, f.Name.Name, set.Position(f.End()).Line-begin+1)
		if f.Recv != nil && f.Name.IsExported() {
			s.methods[path.Dir(name)+"."+receiver(f.Recv.List[0].Type)]++
		}
	}
	return nil
}

// receiver returns the name of the type of a method.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// luaFunction begins a function that ends with a line of its own, at the same indentation.
var luaFunction = regexp.MustCompile(`^(\s*)(?:local\s+)?(?:\S+\s*=\s*)?function\b\s*([\w.:]*)`)

func (s *size) addLua(name string, text []byte) {
	type open struct {
		name, indent string
		begin        int
	}
	var stack []open
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if m := luaFunction.FindStringSubmatch(line); m != nil && !strings.HasSuffix(strings.TrimSpace(line), " end") {
			stack = append(stack, open{m[2], m[1], n})
			continue
		}
		if len(stack) == 0 {
			continue
		}
		if last := stack[len(stack)-1]; line == last.indent+"end" {
			s.function(name, last.begin, last.name, n-last.begin+1)
			stack = stack[:len(stack)-1]
		}
	}
}

func (s *size) function(file string, line int, name string, lines int) {
	if lines > maxFunctionLines {
		s.broken = append(s.broken, fmt.Sprintf("%s:%d: %s has %d lines, at most %d are allowed", file, line, name, lines, maxFunctionLines))
	}
}

func (s *size) compare() {
	for dir, files := range s.files {
		if slices.Contains(unbounded, dir) {
			continue
		}
		if files > maxFiles {
			s.broken = append(s.broken, fmt.Sprintf("%s: %d files without tests, at most %d are allowed", dir, files, maxFiles))
		}
		if lines := s.lines[dir]; lines > maxLines {
			s.broken = append(s.broken, fmt.Sprintf("%s: %d lines without tests, at most %d are allowed", dir, lines, maxLines))
		}
	}
	for name, methods := range s.methods {
		if methods > maxMethods {
			s.broken = append(s.broken, fmt.Sprintf("%s: %d exported methods, at most %d are allowed", name, methods, maxMethods))
		}
	}
}
