// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"go/ast"
	"strconv"
	"strings"
	"testing"
)

func TestImportDirections(t *testing.T) {
	for _, s := range sources(t) {
		r, ok := rowOf(s.pkg())
		if !ok {
			t.Errorf("%s: package %s stands in no row of the table of imports", s.path, s.pkg())
			continue
		}
		if s.test {
			continue
		}
		for _, imp := range s.ast.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatalf("%s: import path %s: %v", s.path, imp.Path.Value, err)
			}
			if why := refuse(r, s.pkg(), path); why != "" {
				t.Errorf("%s: %s imports %s: %s", s.at(imp), s.pkg(), path, why)
			}
		}
	}
}

// refuse returns why pkg may not import path, or nothing.
func refuse(r row, pkg, path string) string {
	if inner, ok := strings.CutPrefix(path, module+"/internal/"); ok {
		if inner == "array" || covers(r.pkg, inner) {
			return ""
		}
		for _, m := range r.may {
			if m == anything || covers(m, inner) {
				return ""
			}
		}
		return r.why
	}
	if r.core {
		for ban, is := range coreBans {
			if path == ban {
				return "a stepped core " + is
			}
		}
	}
	for _, h := range heavy {
		if !covers(h.module, path) {
			continue
		}
		for _, m := range h.may {
			if covers(m, pkg) {
				return ""
			}
		}
		return h.why
	}
	return ""
}

func rowOf(pkg string) (row, bool) {
	for _, r := range table {
		if covers(r.pkg, pkg) {
			return r, true
		}
	}
	return row{}, false
}

// TestTableDescends checks the table itself: without a cycle there is a down.
func TestTableDescends(t *testing.T) {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(pkg string)
	visit = func(pkg string) {
		switch state[pkg] {
		case visiting:
			t.Fatalf("the table leads from %s back to it", pkg)
		case done:
			return
		}
		state[pkg] = visiting
		r, ok := rowOf(pkg)
		if !ok {
			t.Fatalf("the table mentions %s, which has no row", pkg)
		}
		for _, m := range r.may {
			if m != anything {
				visit(m)
			}
		}
		state[pkg] = done
	}
	for _, r := range table {
		if r.why == "" {
			t.Errorf("row %s gives no reason", r.pkg)
		}
		visit(r.pkg)
	}
}

// TestRefuse makes sure that the rules can fail.
func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		pkg, path string
		refused   bool
	}{
		{"journal", module + "/internal/block", false},
		{"journal", module + "/internal/array", false},
		{"journal", module + "/internal/volume", true},
		{"link", module + "/internal/witness", true},
		{"iscsi/initiator", module + "/internal/iscsi", false},
		{"iscsi", module + "/internal/iscsi/initiator", false},
		{"scsi", module + "/internal/iscsi", true},
		{"arbitration", "net", true},
		{"arbitration", "sort", false},
		{"link", "net", false},
		{"iscsi", "go.etcd.io/bbolt", true},
		{"witness", "go.etcd.io/bbolt", false},
		{"witness", "go.etcd.io/etcd/client/v3", true},
		{"cmd/perdure", module + "/internal/node", false},
	} {
		r, ok := rowOf(c.pkg)
		if !ok {
			t.Fatalf("no row for %s", c.pkg)
		}
		if got := refuse(r, c.pkg, c.path) != ""; got != c.refused {
			t.Errorf("%s imports %s: refused %v, want %v", c.pkg, c.path, got, c.refused)
		}
	}
}

// TestCoresAreStepped looks for what would make a core's outcome depend on more
// than its events: a clock or a goroutine.
func TestCoresAreStepped(t *testing.T) {
	for _, s := range sources(t) {
		if r, ok := rowOf(s.pkg()); !ok || !r.core || s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a stepped core starts a goroutine", s.at(n))
			case *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s: a stepped core has a channel", s.at(n))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && readsClock(n.Sel.Name) {
					t.Errorf("%s: a stepped core calls time.%s", s.at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func readsClock(name string) bool {
	switch name {
	case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick":
		return true
	}
	return false
}
