// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `name = "array-a"
system_id = 1
data_dir = "/srv/a"

[iscsi]
name = "iqn.2026-01.io.perdure:array-a"
portals = ["192.0.2.1:3260", "198.51.100.1:3260"]

[journal]
size_mib = 1024

[memory]
buffers_mib = 512
overlay_mib = 256
map_cache_mib = 64
read_cache_mib = 512

[[cpg]]
name = "cpg0"
dir = "/srv/a/cpg0"
limit_gib = 10

[[cpg]]
name = "cpg1"
dir = "/srv/a/cpg1"
limit_gib = 20

[target]
name = "array-b"
system_id = 2
key = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

[ssh]
listen = ["203.0.115.1:22", "203.0.115.1:2222"]

[[target.link]]
name = "link1"
listen = "203.0.113.1:5785"
remote = "203.0.113.2:5785"

[[target.link]]
name = "link2"
listen = "203.0.114.1:5785"
remote = "203.0.114.2:5785"

[witness]
address = "203.0.115.9:8843"
key = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
`

func load(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "perdured.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(path)
	return err
}

// TestConfigurationThatCannotBeMeant: each mistake is told with the key, the value and
// what would be right.
func TestConfigurationThatCannotBeMeant(t *testing.T) {
	if err := load(t, goodConfig); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, old, by string
		tells         []string
	}{
		{"an unknown key", "size_mib = 1024", "size = 1024", []string{"unknown key journal.size: in journal want device or size_mib"}},
		{"a receiver of events that can't be meant", "[witness]", "[[forward]]\nto = \"ftp://192.0.2.1\"\n[witness]", []string{"forward.to", "ftp://192.0.2.1", "syslog+udp://"}},
		{"traps without a community or user", "[witness]", "[[forward]]\nto = \"snmp+trap://192.0.2.1:162\"\n[witness]", []string{"forward.to", "snmp+trap://192.0.2.1:162", "want community"}},
		{"a way to authenticate that is none", "[witness]", "[[forward]]\nto = \"snmp+inform://192.0.2.1:162\"\nuser = \"u\"\nauth = \"MD5\"\nauth_password = \"f\"\n[witness]", []string{"forward.to", "MD5", "SHA-256"}},
		{"a severity that is none", "[witness]", "[[forward]]\nto = \"syslog+udp://192.0.2.1:514\"\nseverity = \"Bad\"\n[witness]", []string{"forward.severity", "Bad", "Minor"}},
		{"a receiver twice", "[witness]", "[[forward]]\nto = \"https://192.0.2.1\"\n[[forward]]\nto = \"https://192.0.2.1\"\n[witness]", []string{"forward.to", "twice"}},
		{"an unknown table", "[memory]", "[ram]", []string{"unknown key ram", "memory, name, nice"}},
		{"a nice value of people", "system_id = 1", "system_id = 1\nnice = 5", []string{"nice", "5", "-20 to -1"}},
		{"a key twice", `name = "array-a"`, "name = \"array-a\"\nname = \"x\"", []string{"name"}},
		{"text for a number", "system_id = 1", `system_id = "one"`, []string{"system_id", "string"}},
		{"a negative id", "system_id = 1", "system_id = -1", []string{"system_id", "-1"}},
		{"an id that is too large", "system_id = 1", "system_id = 4294967296", []string{"system_id", "4294967296"}},
		{"no name", `name = "array-a"`, `name = ""`, []string{"name", "1 to 31"}},
		{"a name with a blank", `name = "array-a"`, `name = "array a"`, []string{"name", "array a", "1 to 31"}},
		{"no data_dir", `data_dir = "/srv/a"`, "", []string{"data_dir", "directory"}},
		{"no iSCSI name", `"iqn.2026-01.io.perdure:array-a"`, `"array-a"`, []string{"iscsi.name", "array-a", "iqn."}},
		{"no portals", `["192.0.2.1:3260", "198.51.100.1:3260"]`, "[]", []string{"iscsi.portals", "1 to 16"}},
		{"a portal without a port", `"192.0.2.1:3260", `, `"192.0.2.1", `, []string{"iscsi.portals", "192.0.2.1", "host:port"}},
		{"a port that is none", `"192.0.2.1:3260", `, `"192.0.2.1:326000", `, []string{"iscsi.portals", "326000", "1 to 65535"}},
		{"a portal twice", `"198.51.100.1:3260"]`, `"192.0.2.1:3260"]`, []string{"iscsi.portals", "192.0.2.1:3260", "twice"}},
		{"a movable portal that is none", "\n[journal]", "takeover = [{portal = \"192.0.2.9:3260\", network = 24, device = \"eth0\"}]\n[journal]", []string{"iscsi.takeover.portal", "192.0.2.9:3260", "iscsi.portals"}},
		{"a movable portal nowhere", "\n[journal]", "takeover = [{portal = \"192.0.2.1:3260\", network = 24}]\n[journal]", []string{"iscsi.takeover.device", "192.0.2.1:3260"}},
		{"a movable portal without a network", "\n[journal]", "takeover = [{portal = \"192.0.2.1:3260\", network = 33, device = \"eth0\"}]\n[journal]", []string{"iscsi.takeover.network", "33", "1 to 32"}},
		{"a place of an own movable portal", "\n[journal]", "takeover = [{portal = \"192.0.2.1:3260\", network = 24, device = \"eth0\", tag = 1}]\n[journal]", []string{"iscsi.takeover.tag", "target.takeover"}},
		{"another array's portals without its name", "system_id = 2", "system_id = 2\ntakeover = [{portal = \"192.0.2.9:3260\", network = 24, device = \"eth0\", tag = 1}]", []string{"target.iscsi_name"}},
		{"another array's portal without its place", "system_id = 2", "system_id = 2\niscsi_name = \"iqn.x:b\"\ntakeover = [{portal = \"192.0.2.9:3260\", network = 24, device = \"eth0\"}]", []string{"target.takeover.tag", "192.0.2.9:3260"}},
		{"another array's portal that is this one's", "system_id = 2", "system_id = 2\niscsi_name = \"iqn.x:b\"\ntakeover = [{portal = \"192.0.2.1:3260\", network = 24, device = \"eth0\", tag = 1}]", []string{"target.takeover.portal", "192.0.2.1:3260", "this array's"}},
		{"a movable portal of another kind", "system_id = 2", "system_id = 2\niscsi_name = \"iqn.x:b\"\ntakeover = [{portal = \"[2001:db8::1]:3260\", network = 64, device = \"eth0\", tag = 1}]", []string{"target.takeover.portal", "IPv4"}},
		{"an SSH address without a port", `"203.0.115.1:22"`, `"203.0.115.1"`, []string{"ssh.listen", "203.0.115.1", "host:port"}},
		{"an SSH address twice", `"203.0.115.1:2222"`, `"203.0.115.1:22"`, []string{"ssh.listen", "twice"}},
		{"a small journal", "size_mib = 1024", "size_mib = 63", []string{"journal.size_mib", "63", "64"}},
		{"no journal", "size_mib = 1024", "size_mib = 0", []string{"journal.size_mib", `"0"`, "from 64", "leave it out for 1024"}},
		{"no buffers", "buffers_mib = 512", "buffers_mib = 0", []string{"memory.buffers_mib", `"0"`, "from 32", "leave it out for 512"}},
		{"no overlay", "overlay_mib = 256", "overlay_mib = 0", []string{"memory.overlay_mib", `"0"`, "from 16", "leave it out for 256"}},
		{"no map cache", "map_cache_mib = 64", "map_cache_mib = 0", []string{"memory.map_cache_mib", `"0"`, "from 1", "leave it out for 32"}},
		{"buffers beyond the machine", "buffers_mib = 512", "buffers_mib = 16000000", []string{"memory.buffers_mib", "16000000", "this machine has"}},
		{"a read cache beyond the machine", "read_cache_mib = 512", "read_cache_mib = 16000000", []string{"memory.read_cache_mib", "16000000", "this machine has"}},
		{"a CPG in the journal", `dir = "/srv/a/cpg1"`, `dir = "/srv/a/journal/"`, []string{"cpg.dir", "/srv/a/journal", "journal", "cpg1"}},
		{"a CPG in the identity", `dir = "/srv/a/cpg1"`, `dir = "/srv/a/identity/x"`, []string{"cpg.dir", "/srv/a/identity", "cpg1"}},
		{"half an iSCSI name", `"iqn.2026-01.io.perdure:array-a"`, `"iqn."`, []string{"iscsi.name", "iqn.", "iqn.yyyy-mm"}},
		{"an iSCSI name with a blank", `"iqn.2026-01.io.perdure:array-a"`, `"iqn.2026-01.io.perdure:array a"`, []string{"iscsi.name", "array a"}},
		{"a long iSCSI name", `"iqn.2026-01.io.perdure:array-a"`, `"iqn.2026-01.io.perdure:` + strings.Repeat("a", 201) + `"`, []string{"iscsi.name", "223"}},
		{"an empty list of portals' guests", "\n[journal]", "allow = { \"192.0.2.1:3260\" = [] }\n[journal]", []string{"iscsi.allow", "1 to 1024"}},
		{"who may use a portal that is none", "\n[journal]", "allow = { \"192.0.2.77:3260\" = [\"192.0.2.0/24\"] }\n[journal]", []string{"iscsi.allow", "192.0.2.77:3260", "iscsi.portals"}},
		{"a negative journal", "size_mib = 1024", "size_mib = -5", []string{"journal.size_mib", "-5"}},
		{"a journal beyond reason", "size_mib = 1024", "size_mib = 9007199254740993", []string{"journal.size_mib", "9007199254740993"}},
		{"small buffers", "buffers_mib = 512", "buffers_mib = 31", []string{"memory.buffers_mib", "31", "32"}},
		{"buffers beyond reason", "buffers_mib = 512", "buffers_mib = 9007199254740993", []string{"memory.buffers_mib", "9007199254740993"}},
		{"a small overlay", "overlay_mib = 256", "overlay_mib = 1", []string{"memory.overlay_mib", "1", "16"}},
		{"a read cache below nothing", "read_cache_mib = 512", "read_cache_mib = -1", []string{"memory.read_cache_mib", "-1", "from 0"}},
		{"a map cache below nothing", "map_cache_mib = 64", "map_cache_mib = -1", []string{"memory.map_cache_mib", "-1", "from 1"}},
		{"a CPG twice", `name = "cpg1"`, `name = "cpg0"`, []string{"cpg.name", "cpg0", "twice"}},
		{"two CPGs in one place", `dir = "/srv/a/cpg1"`, `dir = "/srv/a/../a/cpg0"`, []string{"cpg.dir", "cpg0", "cpg1"}},
		{"a CPG nowhere", `dir = "/srv/a/cpg1"`, `dir = ""`, []string{"cpg.dir", "cpg1"}},
		{"a CPG without room", "limit_gib = 20", "limit_gib = 0", []string{"cpg.limit_gib", "cpg1", "from 1"}},
		{"a CPG beyond reason", "limit_gib = 20", "limit_gib = 9007199254740993", []string{"cpg.limit_gib", "9007199254740993"}},
		{"the other array's id", "system_id = 2", "system_id = 1", []string{"target.system_id", "1", "differ"}},
		{"no id of the other array", "system_id = 2", "", []string{"target.system_id"}},
		{"the other array's name", `name = "array-b"`, `name = "array-a"`, []string{"target.name", "array-a", "differ"}},
		{"no key of the other array", `key = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"`, "", []string{"target.key"}},
		{"a key that is none", `"sha256:bbbb`, `"sha256:bbbz`, []string{"fingerprint", "64 hexadecimal digits"}},
		{"a link to itself", `remote = "203.0.113.2:5785"`, `remote = "203.0.113.1:5785"`, []string{"link1", "203.0.113.1:5785", "other array"}},
		{"a link to another link of this array", `remote = "203.0.113.2:5785"`, `remote = "203.0.114.1:5785"`, []string{"link1", "203.0.114.1:5785", "other array"}},
		{"two links of one name", `name = "link2"`, `name = "link1"`, []string{"target.link.name", "link1", "twice"}},
		{"two links that are one", "listen = \"203.0.114.1:5785\"\nremote = \"203.0.114.2:5785\"", "listen = \"203.0.113.1:5785\"\nremote = \"203.0.113.2:5785\"", []string{"link2", "link1", "203.0.113.2:5785"}},
		{"a link without an address", `remote = "203.0.113.2:5785"`, `remote = "203.0.113.2"`, []string{"target.link.remote", "203.0.113.2", "host:port"}},
		{"a link without the other's host", `remote = "203.0.113.2:5785"`, `remote = ":5785"`, []string{"target.link.remote", ":5785", "host:port"}},
		{"a witness without a key", `key = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"`, "", []string{"witness.key"}},
		{"a key without a witness", `address = "203.0.115.9:8843"`, "", []string{"witness.address"}},
		{"the other array as witness", `"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"`, `"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"`, []string{"witness.key", "target.key"}},
		{"a witness without a port", `address = "203.0.115.9:8843"`, `address = "203.0.115.9"`, []string{"witness.address", "203.0.115.9", "host:port"}},
		{"a witness for one array", goodConfig[strings.Index(goodConfig, "[target]"):strings.Index(goodConfig, "[witness]")], "", []string{"witness.address", "target"}},
	} {
		if strings.Count(goodConfig, c.old) == 0 {
			t.Fatalf("%s: %q is not in the configuration", c.what, c.old)
		}
		err := load(t, strings.Replace(goodConfig, c.old, c.by, 1))
		if err == nil {
			t.Errorf("%s is accepted", c.what)
			continue
		}
		for _, word := range append(c.tells, "perdured.toml") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v\n\tdoes not tell %q", c.what, err, word)
			}
		}
	}
}
