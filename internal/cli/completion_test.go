// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/node"
)

// TestBashCompletes commands, options and forms, as bash itself does.
func TestBashCompletes(t *testing.T) {
	script, err := Completion("bash")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"perdure createv":               "createvlun createvv createvvcopy createvvset",
		"perdure setrcopygroup sw":      "switchover",
		"perdure createvv -usr":         "-usr_al -usr_aw",
		"perdure --array /tmp/x showvv": "showvv showvvset",
		"perdure help showho":           "showhost showhostset",
		"perdure cli --p":               "--pin --password-file",
		"perdure cli --c":               "--csvtable",
		"perdure cli showvv":            "showvv showvvset",
		"perdure cli --pin sha256 : 0a --csvtable setrcopygroup sw":        "switchover",
		"perdure cli --url https : //10.0.0.1 : 8080 --user ann createv":   "createvlun createvv createvvcopy createvvset",
		"perdure cli --url = https : //10.0.0.1 : 8080 --user ann showrco": "showrcopy showrcopydrill",
		"perdure cli --url https : //10.0.0.1 : 8080 --user ann --nohd":    "--nohdtot",

		"perdure setrcopytarget witness ch":    "check",
		"perdure setrcopytarget witness -rem":  "-remote",
		"perdure setrcopytarget w":             "witness",
		"perdure setrcopygroup pol auto_r":     "auto_recover",
		"perdure setrcopygroup mode s":         "sync",
		"perdure --array /x setrcopygroup pol": "pol",
		"perdure setalert a":                   "ack",
		"perdure showrcopy g":                  "groups",
		"perdure showvv -cs":                   "-csvtable",
	} {
		words := strings.Fields(line)
		run := script + "\nCOMP_WORDS=(" + line + "); COMP_CWORD=" + strconv.Itoa(len(words)-1) + "; _perdure; echo ${COMPREPLY[*]}"
		out, err := exec.Command("bash", "-c", run).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

// TestEveryCommandIsCompleted in both shells.
func TestEveryCommandIsCompleted(t *testing.T) {
	for _, shell := range []string{"bash", "zsh"} {
		script, err := Completion(shell)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range node.Commands() {
			for _, w := range append([]string{c.Name}, c.Options...) {
				if !strings.Contains(script, w) {
					t.Errorf("%s: %s of %s is missing", shell, w, c.Name)
				}
			}
		}
	}
	if _, err := Completion("fish"); err == nil {
		t.Error("fish is completed")
	}
}
