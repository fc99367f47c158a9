package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestEachLimit: what is as large as it may be passes, and one more is reported.
func TestEachLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fill   func(files map[string]string, n int)
		limit  int
		report string
	}{
		"files of a package": {func(files map[string]string, n int) {
			for i := range n {
				files[fmt.Sprintf("cache/f%d.go", i)] = "package cache\n"
			}
		}, 25, "cache: 26 files without tests, at most 25 are allowed"},
		"lines of a package": {func(files map[string]string, n int) {
			files["cache/a.go"] = "package cache\n" + strings.Repeat("\n", n/2-1)
			files["cache/b.go"] = "package cache\n" + strings.Repeat("\n", n-n/2-1)
		}, 3500, "cache: 3501 lines without tests, at most 3500 are allowed"},
		"lines of a function": {func(files map[string]string, n int) {
			files["cache/a.go"] = "package cache\n\nfunc long() {\n" + strings.Repeat("\n", n-2) + "}\n"
		}, 60, "cache/a.go:3: long has 61 lines, at most 60 are allowed"},
		"lines of a Lua function": {func(files map[string]string, n int) {
			files["cache/a.lua"] = "local x = 1\nlocal function long(a)\n  if a then\n    x = 2\n  end\n" + strings.Repeat("\n", n-5) + "end\nreturn 1\n"
		}, 60, "cache/a.lua:2: long has 61 lines, at most 60 are allowed"},
		"lines of a Lua function within another": {func(files map[string]string, n int) {
			files["cache/a.lua"] = "local f = {\n  g = function()\n    local a = function() return 1 end\n" + strings.Repeat("\n", n-3) + "  end\n}\n"
		}, 60, "cache/a.lua:2:  has 61 lines, at most 60 are allowed"},
		"exported methods of a type": {func(files map[string]string, n int) {
			text := "package cache\n\ntype T[A any] struct{}\n\nfunc (T[A]) hidden() {}\n"
			for i := range n {
				text += fmt.Sprintf("func (t *T[A]) M%d() {}\n", i)
			}
			files["cache/a.go"] = text
		}, 20, "cache.T: 21 exported methods, at most 20 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := checked(t, test.fill, test.limit); len(got) > 0 {
				t.Errorf("as large as it may be: %q", got)
			}
			if got := checked(t, test.fill, test.limit+1); !slices.Equal(got, []string{test.report}) {
				t.Errorf("one more: %q, want %q", got, test.report)
			}
		})
	}
}

func checked(t *testing.T, fill func(map[string]string, int), n int) []string {
	t.Helper()
	files := map[string]string{"cmd/main.go": "package main\n", "httpapi/h.go": "package httpapi\n", "ingest/i.go": "package ingest\n", "cache/doc.txt": "\n"}
	fill(files, n)
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	broken, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	return broken
}

// TestFilesThatAreNotCounted: tests, their data, and the packages that may be larger.
func TestFilesThatAreNotCounted(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\n", 4000)
	got := checked(t, func(files map[string]string, _ int) {
		files["cache/a_test.go"] = "package cache\n" + long
		files["cache/testdata/a.go"] = "package a\n" + long
		files["ingest/localaws/a.go"] = "package localaws\n" + long
		files["cmd/internal/bench/a.go"] = "package bench\n" + long
	}, 0)
	if len(got) > 0 {
		t.Errorf("reported: %q", got)
	}
}

// TestNothingToCheckIsAnError: a wrong root must not pass.
func TestNothingToCheckIsAnError(t *testing.T) {
	t.Parallel()
	if broken, err := check(fstest.MapFS{}); err == nil {
		t.Errorf("an empty directory passes: %q", broken)
	}
}
