// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"strings"
	"testing"
)

// TestEveryCommandIsInTheDocument: docs/commands.md has each command's usage.
func TestEveryCommandIsInTheDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), `\|`, "|") // as a table's cell has it
	for _, c := range commands() {
		if !strings.Contains(text, "`"+c.usage+"`") {
			t.Errorf("docs/commands.md lacks `%s`", c.usage)
		}
	}
}

// TestEveryCommandIsCompared: docs/compatibility.md says of each command how it stands to the
// incumbent's.
func TestEveryCommandIsCompared(t *testing.T) {
	b, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## Commands\n")
	text, _, _ = strings.Cut(text, "\n## ")
	said := map[string]int{}
	for line := range strings.Lines(text) {
		cells := strings.SplitN(line, "|", 4)
		if len(cells) < 4 || !strings.Contains(" same better ours absent ", cells[2]) {
			continue
		}
		for i, word := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				said[word]++
			}
		}
	}
	for _, c := range commands() {
		if said[c.name] != 1 {
			t.Errorf("docs/compatibility.md compares %s %d times, want once", c.name, said[c.name])
		}
	}
}

// TestEveryDocumentedCommandIsOne: what docs/commands.md lists is in the table of commands,
// and so in a script.
func TestEveryDocumentedCommandIsOne(t *testing.T) {
	b, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	count, listed := 0, false
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.HasPrefix(line, "| command |"):
			listed = true
		case !strings.HasPrefix(line, "|"):
			listed = false
		}
		name, is := strings.CutPrefix(line, "| `")
		if !listed || !is {
			continue
		}
		count++
		if end := strings.IndexAny(name, " `"); find(name[:end]) == nil {
			t.Errorf("docs/commands.md has %s, which is no command", name[:end])
		}
	}
	if count != len(commands()) {
		t.Errorf("docs/commands.md lists %d commands, there are %d", count, len(commands()))
	}
}

// TestEveryKeyIsInTheDocument: docs/configuration.md has each key.
func TestEveryKeyIsInTheDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"name", "system_id", "data_dir", "socket", "nice", "wsapi.listen", "wsapi.certificate", "wsapi.key", "iscsi.name", "iscsi.portals", "iscsi.allow", "iscsi.takeover", "target.iscsi_name", "target.takeover", "iscsi.sessions", "iscsi.logins", "iscsi.host_sessions",
		"iscsi.host_connections", "iscsi.host_commands", "iscsi.host_buffers_mib", "journal.size_mib", "journal.device", "memory.buffers_mib",
		"memory.overlay_mib", "memory.map_cache_mib", "memory.read_cache_mib", "scrub.mib_per_second", "[[cpg]] name", "[[cpg]] dir", "[[cpg]] device", "[[cpg]] limit_gib", "target.name", "target.system_id", "target.key",
		"[[target.link]] name", "[[target.link]] listen", "witness.address", "witness.key", "ssh.listen", "[[forward]] to", "[[forward]] severity", "[[forward]] ca", "[[forward]] token", "[[forward]] community", "[[forward]] user", "[[forward]] auth", "[[forward]] auth_password", "[[forward]] privacy", "[[forward]] privacy_password",
	} {
		if !strings.Contains(string(b), "`"+key+"`") {
			t.Errorf("docs/configuration.md lacks %s", key)
		}
	}
}

// TestHelpWithoutAnArray is what an array's own says.
func TestHelpWithoutAnArray(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	for _, words := range [][]string{nil, {"admitrcopyvv"}, {"setrcopygroup"}} {
		if text, err := Help(words); err != nil || text == "" || text != a.run(append([]string{"help"}, words...)...) {
			t.Errorf("help %v: %v\n%s", words, err, text)
		}
	}
	if _, err := Help([]string{"makecoffee"}); err == nil {
		t.Error("help for a command that there is not")
	}
}
