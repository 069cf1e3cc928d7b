// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	spdx      = "// SPDX-License-Identifier: Apache-2.0\n\n"
	longFile  = 300 // reported
	limitFile = 500 // refused
)

func TestEveryFileNamesItsLicense(t *testing.T) {
	for _, s := range sources(t) {
		text := s.text
		// The build constraint must be followed by a blank line and may come first.
		if strings.HasPrefix(text, "//go:build ") {
			_, text, _ = strings.Cut(text, "\n\n")
		}
		if !strings.HasPrefix(text, spdx) {
			t.Errorf("%s: does not start with %q and a blank line", s.path, strings.TrimSpace(spdx))
		}
	}
}

func TestEveryPackageExplainsItself(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		if s.test {
			continue
		}
		name := filepath.Base(s.path)
		ok := s.ast.Doc != nil && (name == "doc.go" || name == "main.go" && s.ast.Name.Name == "main")
		documented[dir] = documented[dir] || ok
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no doc.go with a package comment", dir)
		}
	}
}

func TestFilesHoldOneIdea(t *testing.T) {
	for _, s := range sources(t) {
		switch n := strings.Count(s.text, "\n"); {
		case n > limitFile:
			t.Errorf("%s: %d lines, the limit is %d: which two ideas are in it?", s.path, n, limitFile)
		case n > longFile:
			t.Logf("%s: %d lines", s.path, n)
		}
	}
}

// vague names say where something is kept, not what it is.
var vague = regexp.MustCompile(`(^|[/_])(utils?|common|helpers?|managers?|misc|lib)(_test)?(\.go)?($|/)`)

func TestNamesSaySomething(t *testing.T) {
	for _, s := range sources(t) {
		if vague.MatchString(filepath.ToSlash(s.path)) {
			t.Errorf("%s: the name says nothing", s.path)
		}
	}
	for _, name := range []string{"internal/util/x.go", "internal/x/common.go", "internal/x/net_helpers_test.go", "internal/managers/x.go"} {
		if !vague.MatchString(name) {
			t.Errorf("%s is not refused", name)
		}
	}
	for _, name := range []string{"internal/journal/library.go", "internal/x/utility.go", "internal/array/ids.go"} {
		if vague.MatchString(name) {
			t.Errorf("%s is refused", name)
		}
	}
}

// unfinished is written in pieces, so that this file passes too.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b|/work/` + `shared`)

func TestNothingIsLeftForLater(t *testing.T) {
	for _, s := range sources(t) {
		for i, line := range strings.Split(s.text, "\n") {
			if unfinished.MatchString(line) {
				t.Errorf("%s:%d: %s", s.path, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// TestNoHiddenState refuses init functions and package-level variables that
// change: both tie together what tests and two arrays in one process need apart.
func TestNoHiddenState(t *testing.T) {
	all := sources(t)
	global := packageVars(all)
	for _, s := range all {
		if s.test {
			continue
		}
		for _, d := range s.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init", s.at(fn))
			}
			local := localNames(fn)
			ast.Inspect(fn, func(n ast.Node) bool {
				for _, target := range assigned(n) {
					id := rootOf(target)
					if id != nil && id.Name != "_" && !local[id.Name] && global[filepath.Dir(s.path)+":"+id.Name] {
						t.Errorf("%s: %s, a variable of the package, is changed", s.at(n), id.Name)
					}
				}
				return true
			})
		}
	}
}

// packageVars returns the variables declared at the top of the files, as
// directory:name.
func packageVars(all []*source) map[string]bool {
	out := map[string]bool{}
	for _, s := range all {
		for _, d := range s.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					out[filepath.Dir(s.path)+":"+name.Name] = true
				}
			}
		}
	}
	return out
}

// localNames returns every name that fn declares anywhere inside: parameters,
// results and variables. It forgives a name that is local in one block and the
// package's in another, which is worth refusing for other reasons.
func localNames(fn *ast.FuncDecl) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				out[name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				out[name.Name] = true
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok {
					out[id.Name] = true
				}
			}
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					out[id.Name] = true
				}
			}
		}
		return true
	})
	return out
}

// assigned returns the expressions that the statement changes.
func assigned(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	}
	return nil
}

// rootOf returns the variable that an expression such as a.b[c] starts from.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
