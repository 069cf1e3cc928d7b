// SPDX-License-Identifier: Apache-2.0

package node

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/hostkey"
	"github.com/perdure/perdure/internal/people"
)

// update writes what commands say into the scripts, instead of comparing.
var update = flag.Bool("node.update", false, "write what commands say into testdata/script")

// TestScripts plays what people give and get, line by line, on a pair of arrays:
//
//	a showvv          the array's owner, on array-a; b: on array-b; c: on a third one
//	as ann a showvv   a user who has logged in
//	login ann a       with the password 'correct horse': ann's commands to array-a are of that session
//	! a removevv x    fails, and says why on standard error
//	hold a            physical copies of array-a wait for their turn
//	a setvv text:f    a word that is the text of the file f, or of stdout
//	alert a 3 New     waits until alert 3 of array-a is New
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			var arrays []*testArray
			key := ""
			on := map[string]*testArray{}
			switch filepath.Base(f) {
			case "targets.txt":
				arrays, _ = openStrangers(t)
				key = arrays[1].ident.Pin().String()
			case "far.txt":
				a, b, c := withFarArray(t)
				arrays, on["c"] = []*testArray{a, b}, c
				key = c.ident.Pin().String()
			case "sshhostkeys.txt":
				arrays = openArrays(t, 2, quick)
				k, err := hostkey.Open(filepath.Join(t.TempDir(), "ssh"))
				if err != nil {
					t.Fatal(err)
				}
				arrays[0].KnowHostKeys(k) // array-b has no SSH
			default:
				arrays = openArrays(t, 2, quick)
			}
			on["a"], on["b"] = arrays[0], arrays[1]
			give := func(ts *testscript.TestScript, neg bool, by Caller, args []string) {
				x := on[args[0]]
				for i, w := range args {
					if name, is := strings.CutPrefix(w, "text:"); is {
						args[i] = ts.ReadFile(name)
					}
				}
				text, err := x.Do(t.Context(), Asked{By: by, Words: args[1:]})
				fmt.Fprint(ts.Stdout(), text)
				if err != nil {
					fmt.Fprintln(ts.Stderr(), err)
				}
				if (err != nil) != neg {
					ts.Fatalf("%s: %s%v", strings.Join(args, " "), text, err)
				}
				if args[1] == "createvv" && err == nil { // it is opened beside
					x.until("it to be served", func() bool { return x.serves(x.stored(args[len(args)-2]).Group) })
				}
			}
			owner := func(ts *testscript.TestScript, neg bool, args []string) {
				give(ts, neg, Caller{User: people.Local, Grants: people.Grants{Role: people.Super}, From: "local", Over: "socket"}, args)
			}
			sessions := map[string]string{}
			testscript.Run(t, testscript.Params{
				Files: []string{f}, UpdateScripts: *update, RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("KEY", key)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"a": func(ts *testscript.TestScript, neg bool, args []string) {
						owner(ts, neg, append([]string{"a"}, args...))
					},
					"b": func(ts *testscript.TestScript, neg bool, args []string) {
						owner(ts, neg, append([]string{"b"}, args...))
					},
					"c": func(ts *testscript.TestScript, neg bool, args []string) {
						owner(ts, neg, append([]string{"c"}, args...))
					},
					"alert": func(ts *testscript.TestScript, _ bool, args []string) {
						id, err := strconv.ParseUint(args[1], 10, 64)
						ts.Check(err)
						on[args[0]].until("alert "+args[1], func() bool {
							x, err := on[args[0]].Alert(event.AlertID(id))
							return err == nil && string(x.State()) == args[2]
						})
					},
					"hold": func(_ *testscript.TestScript, _ bool, args []string) { on[args[0]].holdCopies() },
					"login": func(ts *testscript.TestScript, _ bool, args []string) {
						s, err := on[args[1]].people.Login(args[0], "correct horse", "192.0.2.9:1", time.Now())
						ts.Check(err)
						sessions[args[0]+args[1]] = s.Key
					},
					"as": func(ts *testscript.TestScript, neg bool, args []string) {
						if key, is := sessions[args[0]+args[1]]; is {
							s, err := on[args[1]].people.Session(key, time.Now())
							ts.Check(err)
							give(ts, neg, CallerOf(s, "ssh"), args[1:])
							return
						}
						u, err := arrays[0].people.User(args[0])
						ts.Check(err)
						give(ts, neg, Caller{User: u.Name, Grants: u.Grants, Domain: u.Default, From: "192.0.2.9:1", Over: "ssh"}, args[1:])
					},
				},
			})
		})
	}
}

// TestScriptsHaveEveryCommand, used rightly and wrongly, and each list as CSV too.
func TestScriptsHaveEveryCommand(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n" + string(b))
	}
	has := func(pattern string) bool { return regexp.MustCompile("(?m)^" + pattern).MatchString(all.String()) }
	for _, c := range commands() {
		if offered := !strings.HasPrefix(c.about, "not offered: "); offered && !has(`(as \w+ )?[abc] `+c.name+`\b`) {
			t.Errorf("no script uses %s rightly", c.name)
		}
		if !has(`! (as \w+ )?[abc] ` + c.name + `\b`) {
			t.Errorf("no script uses %s wrongly", c.name)
		}
		if c.lists() && !has(`(as \w+ )?[abc] `+c.name+`\b.* -csvtable\b`) {
			t.Errorf("no script has %s as CSV", c.name)
		}
	}
}
