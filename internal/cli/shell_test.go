// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/table"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "[]"},
		{" ; ;; ", "[]"},
		{"showvv", `[["showvv"]]`},
		{"setclienv csvtable 1; showrcopy groups ;exit\r\n", `[["setclienv" "csvtable" "1"] ["showrcopy" "groups"] ["exit"]]`},
		{`createsched "createsv -ro a@y@ v; x" "0 * * * *" h`, `[["createsched" "createsv -ro a@y@ v; x" "0 * * * *" "h"]]`},
		{`a 'b "c' "d 'e" f\ g \; "\"" ''`, `[["a" "b \"c" "d 'e" "f g" ";" "\"" ""]]`},
		{`a"b"'c'd`, `[["abcd"]]`},
		{`'a\'`, `[["a\\"]]`},
	} {
		got, err := Split(c.line)
		if err != nil || fmt.Sprintf("%q", got) != c.want {
			t.Errorf("%q: %q, %v; want %s", c.line, got, err, c.want)
		}
	}
	for _, bad := range []string{`"`, `'`, `\`, `a "b`, strings.Repeat("x", MaxLine+1)} {
		if got, err := Split(bad); err == nil {
			t.Errorf("%.20q: %q", bad, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`a "b c" 'd' \e; f`)
	f.Fuzz(func(t *testing.T, line string) {
		commands, err := Split(line)
		for _, c := range commands {
			if err != nil || len(c) == 0 {
				t.Fatalf("%q: %q, %v", line, commands, err)
			}
		}
	})
}

func TestShell(t *testing.T) {
	s := Shell{Run: func(_ context.Context, words []string, style table.Style) (string, error) {
		return fmt.Sprint(words, style), nil
	}}
	for _, c := range []struct {
		line, want string
		exit       bool
	}{
		{"showvv", "[showvv] {false false}", false},
		{"setclienv csvtable 1", "", false},
		{"showvv", "[showvv] {true false}", false},
		{"setclienv nohdtot 1", "", false},
		{"showclienv", "csvtable,1\nnohdtot,1\n", false},
		{"setclienv csvtable 0", "", false},
		{"showvv", "[showvv] {false true}", false},
		{"quit", "", true},
		{"exit", "", true},
	} {
		text, exit, err := s.Do(t.Context(), strings.Fields(c.line))
		if err != nil || text != c.want || exit != c.exit {
			t.Errorf("%s: %q, %v, %v", c.line, text, exit, err)
		}
	}
	for _, bad := range []string{"setclienv", "setclienv csvtable 2", "setclienv colour 1"} {
		if _, _, err := s.Do(t.Context(), strings.Fields(bad)); err == nil {
			t.Error(bad)
		}
	}
}

func TestSecrets(t *testing.T) {
	typed := []string{"one", "one", "old", "two", "two", "three", "four"}
	ask := func(string) (string, error) {
		x := typed[0]
		typed = typed[1:]
		return x, nil
	}
	for _, c := range []struct{ words, want string }{
		{"createuser ann all edit", "createuser -c one ann all edit"},
		{"createuser -c x ann all edit", "createuser -c x ann all edit"},
		{"createuser --c=x ann all edit", "createuser --c=x ann all edit"},
		{"createuser -nopassword ann all edit", "createuser -nopassword ann all edit"},
		{"setpassword", "setpassword -c two -old old"},
		{"showvv", "showvv"},
	} {
		got, err := AskSecrets(strings.Fields(c.words), ask)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v", c.words, got, err)
		}
	}
	if got, err := AskSecrets([]string{"setpassword", "-u", "ann"}, ask); err == nil {
		t.Errorf("two that differ: %q", got)
	}
}
