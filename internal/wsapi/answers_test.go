// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// kindsNotIn returns the kinds that a table lacks, reasonsNotIn the reasons.
func kindsNotIn(table map[array.Kind]Code) (lacks []array.Kind) {
	for k := array.Kind(0); !strings.HasPrefix(k.String(), "kind "); k++ {
		if table[k].Number == 0 {
			lacks = append(lacks, k)
		}
	}
	return lacks
}

func reasonsNotIn(table map[array.Reason]Code) (lacks []array.Reason) {
	for r := array.Unspecified + 1; r < array.ReasonCount; r++ {
		if table[r].Number == 0 {
			lacks = append(lacks, r)
		}
	}
	return lacks
}

// TestEveryErrorHasACode: every kind and every reason is in the table, and one that is
// left out is noticed.
func TestEveryErrorHasACode(t *testing.T) {
	if l := kindsNotIn(kindCodes); l != nil {
		t.Errorf("kinds without a code: %v", l)
	}
	if l := reasonsNotIn(reasonCodes); l != nil {
		t.Errorf("reasons without a code: %v", l)
	}
	fewer := map[array.Kind]Code{array.Internal: InternalError}
	if len(kindsNotIn(fewer)) != len(kindCodes)-1 || len(reasonsNotIn(nil)) != len(reasonCodes) {
		t.Error("a table that lacks kinds or reasons is not noticed")
	}
}

// codes returns the codes as they are declared.
func codes(t *testing.T) (all []Code) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		l, ok := n.(*ast.CompositeLit)
		if !ok || len(l.Elts) != 3 {
			return true
		}
		number, err := strconv.Atoi(l.Elts[1].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		symbol, err := strconv.Unquote(l.Elts[2].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Code{Number: number, Symbol: symbol})
		return true
	})
	return all
}

// TestCodesAreUnique: programs branch on numbers.
func TestCodesAreUnique(t *testing.T) {
	numbers, symbols := map[int]string{}, map[string]int{}
	all := codes(t)
	if len(all) < 100 {
		t.Fatalf("%d codes found", len(all))
	}
	for _, c := range all {
		if o, ok := numbers[c.Number]; ok {
			t.Errorf("%d is %s and %s", c.Number, o, c.Symbol)
		}
		if o, ok := symbols[c.Symbol]; ok {
			t.Errorf("%s is %d and %d", c.Symbol, o, c.Number)
		}
		numbers[c.Number], symbols[c.Symbol] = c.Symbol, c.Number
	}
}

// TestCodeOf: a reason goes before a kind, the face's own finding before both, wherever
// they are in the chain.
func TestCodeOf(t *testing.T) {
	err := fmt.Errorf("create: %w", array.Errorf(array.NotFound, "no").Because(array.NoCPG))
	for _, c := range []struct {
		err  error
		want Code
	}{
		{err, NoCPG},
		{array.Errorf(array.NotFound, "no"), NoResource},
		{errors.New("?"), InternalError},
		{fmt.Errorf("x: %w", &Failure{Code: TooLong}), TooLong},
		{errors.Join(errors.New("x"), err), NoCPG},
		{&array.Error{Kind: array.Conflict, Err: err}, NoCPG},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
	if CodeOf(array.Errorf(array.Kind(200), "?")).Status != http.StatusInternalServerError {
		t.Error("a kind from a newer array has no code")
	}
}
