// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/perdure/perdure"

// A source is one Go file of the module.
type source struct {
	path string // from the module's root
	text string
	ast  *ast.File
	fset *token.FileSet
	test bool
}

// pkg returns the file's package as the table names it: below internal/.
func (s *source) pkg() string {
	return strings.TrimPrefix(filepath.ToSlash(filepath.Dir(s.path)), "internal/")
}

// at returns the place of a node, for messages.
func (s *source) at(n ast.Node) token.Position { return s.fset.Position(n.Pos()) }

// sources reads every Go file of the module, but not of the nested ones.
func sources(t *testing.T) []*source {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var out []*source
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, rel, text, parser.ParseComments)
		if err != nil {
			t.Errorf("parse: %v", err)
			return nil
		}
		out = append(out, &source{path: rel, text: string(text), ast: file, fset: fset, test: strings.HasSuffix(rel, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatalf("read the sources: %v", err)
	}
	if len(out) == 0 {
		t.Fatal("no sources found: the rules would pass whatever the house looks like")
	}
	return out
}

// enter returns SkipDir for what is not part of the module.
func enter(root, path, name string) error {
	if path == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// covers reports whether pkg is rule or a package below it.
func covers(rule, pkg string) bool { return pkg == rule || strings.HasPrefix(pkg, rule+"/") }
