// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// parsed is a Go file as a tree.
func parsed(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := goparser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// declared are the codes of wsapi by number.
func declared(t *testing.T) map[int]string {
	t.Helper()
	all := map[int]string{}
	ast.Inspect(parsed(t, "../codes.go"), func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, v := range s.Values {
			c, ok := v.(*ast.CompositeLit)
			if !ok || len(c.Elts) != 3 {
				continue
			}
			number, err := strconv.Atoi(c.Elts[1].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all[number] = s.Names[i].Name
		}
		return false
	})
	return all
}

// isWanted are the codes that tests of this package want answered: by refuses, and in tables of
// wrong requests.
func isWanted(t *testing.T) map[int]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]bool{}
	note := func(e ast.Expr) {
		if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.INT {
			if n, err := strconv.Atoi(b.Value); err == nil {
				all[n] = true
			}
		}
	}
	for _, f := range files {
		ast.Inspect(parsed(t, f), func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr:
				if s, ok := x.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "refuses" && len(x.Args) == 5 {
					note(x.Args[1])
				}
			case *ast.CompositeLit:
				if of, ok := x.Type.(*ast.ArrayType); ok {
					if e, ok := of.Elt.(*ast.Ident); !ok || e.Name != "wrong" {
						return true
					}
					for _, row := range x.Elts {
						if r, ok := row.(*ast.CompositeLit); ok && len(r.Elts) > 1 {
							note(r.Elts[1])
						}
					}
				}
			}
			return true
		})
	}
	return all
}

// Codes that no request of these tests can be made to meet cheaply, and the test that meets them.
var metElsewhere = map[string]struct{ file, test string }{
	"InternalError": {"server_test.go", "TestAFailureInside"},
	"Timeout":       {"server_test.go", "TestASlowBody"},
	// What a task or a command's own error says: a request that begins one is answered before.
	"Aborted": {"refused_test.go", "TestKindsAsCodes"},
	"Damaged": {"refused_test.go", "TestKindsAsCodes"},
	// A host wrote between two looks at the volume.
	"Written": {"refused_test.go", "TestKindsAsCodes"},
	// The other array was lost between asking and answering.
	"MayBeDone": {"refused_test.go", "TestKindsAsCodes"},
}

// TestEveryCodeIsAnswered: each code that is declared is wanted by a test of a request, or is met
// by the test that is named here.
func TestEveryCodeIsAnswered(t *testing.T) {
	wanted, codes := isWanted(t), declared(t)
	if len(codes) < 100 || len(wanted) < 100 {
		t.Fatalf("%d codes are declared, %d are wanted", len(codes), len(wanted))
	}
	for number, name := range codes {
		at, elsewhere := metElsewhere[name]
		switch {
		case !wanted[number] && !elsewhere:
			t.Errorf("%d, wsapi.%s: no test wants it answered", number, name)
		case wanted[number] && elsewhere:
			t.Errorf("%d, wsapi.%s: a request meets it: it need not be in metElsewhere", number, name)
		case elsewhere:
			if b, err := os.ReadFile(at.file); err != nil || !strings.Contains(string(b), "func "+at.test+"(") {
				t.Errorf("%d, wsapi.%s: there is no %s in %s (%v)", number, name, at.test, at.file, err)
			}
		}
	}
	for name := range metElsewhere {
		known := false
		for _, n := range codes {
			known = known || n == name
		}
		if !known {
			t.Errorf("wsapi.%s is not declared", name)
		}
	}
	for number := range wanted {
		if codes[number] == "" {
			t.Errorf("%d is wanted by a test, and is no code", number)
		}
	}
}
