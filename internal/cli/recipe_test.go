// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// inquiry asks a unit what vendor and product it says it is of.
func inquiry(t *testing.T) (vendor, product string) {
	disk := ramunit.New("vv", array.MakeVolumeID(1, 1), 1<<20, 1)
	s := scsi.NewServer(scsi.Config{Exports: ramunit.NewExports(disk.Unit(0)), Pool: block.NewPool(1 << 20), Revision: "1"})
	defer s.Close()
	n := s.NewNexus("iqn.h", "iqn.h,i,0x0", scsi.Port{Target: "iqn.t", Tag: 1, Relative: 1})
	c := &scsi.Command{CDB: [16]byte{0x12, 0, 0, 0, 96}, Arrived: boottime.Now(), Done: func(*scsi.Command) {}}
	n.Prepare(c)
	if len(c.In) < 32 {
		t.Fatalf("INQUIRY: %d bytes", len(c.In))
	}
	return strings.TrimSpace(string(c.In[8:16])), strings.TrimSpace(string(c.In[16:32]))
}

// TestRecipesAreInTheDocument: docs/operators.md has each, word for word.
func TestRecipesAreInTheDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	vendor, product := inquiry(t)
	for _, host := range Recipes() {
		text, err := Recipe(host)
		if err != nil {
			t.Fatal(err)
		}
		indented := "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
		indented = strings.ReplaceAll(indented, "    \n", "\n")
		if !strings.Contains(string(b), indented) {
			t.Errorf("docs/operators.md lacks what `perdure hosts recipe %s` prints", host)
		}
		if !strings.Contains(text, vendor) || !strings.Contains(text, product) {
			t.Errorf("%s: names neither %s nor %s, as hosts see the volumes", host, vendor, product)
		}
	}
	if _, err := Recipe("../init.go"); array.KindOf(err) != array.Invalid {
		t.Errorf("an unknown host: %v", err)
	}
}

// TestRecipesWaitForLateWrites: no host sends a command to the other array before this
// one would have refused it as late, and none waits without need.
func TestRecipesWaitForLateWrites(t *testing.T) {
	number := func(text, pattern string) time.Duration {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		n, _ := strconv.Atoi(m[1])
		return time.Duration(n) * time.Second
	}
	for host, p := range map[string][3]string{
		"linux":   {`noop_out_interval' (\d+)`, `noop_out_timeout' (\d+)`, `replacement_timeout (\d+)`},
		"proxmox": {`noop_out_interval' (\d+)`, `noop_out_timeout' (\d+)`, `replacement_timeout (\d+)`},
		"vmware":  {`NoopOutInterval -v (\d+)`, `NoopOutTimeout -v (\d+)`, `RecoveryTimeout -v (\d+)`},
		"windows": {`LinkDownTime +-Type DWord -Value (\d+)`, `TCPConnectTime +-Type DWord -Value (\d+)`, `LinkDownTime +-Type DWord -Value (\d+)`},
	} {
		text, _ := Recipe(host)
		interval, timeout, recovery := number(text, p[0]), number(text, p[1]), number(text, p[2])
		if recovery <= scsi.Late {
			t.Errorf("%s: commands move on after %v, the array may place them up to %v after they came", host, recovery, scsi.Late)
		}
		if all := interval + timeout + recovery; all > 15*time.Second {
			t.Errorf("%s: a silent array is given up after %v", host, all)
		}
	}
}

// TestRecipesRun: the shell takes those that are scripts, and running one again changes
// nothing.
func TestRecipesRun(t *testing.T) {
	const before = "# node.startup = manual\nnode.startup = manual\n#node.conn[0].timeo.noop_out_interval = 5\nnode.session.timeo.replacement_timeout = 120\n"
	for _, host := range []string{"linux", "proxmox"} {
		root := t.TempDir()
		conf := filepath.Join(root, "etc/iscsi/iscsid.conf")
		if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(conf, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		text, _ := Recipe(host)
		var got [2]string
		for i := range got {
			c := exec.Command("sh")
			c.Env = append(os.Environ(), "ROOT="+root)
			c.Stdin = strings.NewReader(text)
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", host, err, out)
			}
			b, err := os.ReadFile(conf)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = string(b)
		}
		if got[0] != got[1] {
			t.Errorf("%s: once:\n%s\ntwice:\n%s", host, got[0], got[1])
		}
		for _, line := range []string{"node.startup = automatic", "node.conn[0].timeo.noop_out_interval = 1", "node.session.timeo.replacement_timeout = 3", "node.conn[0].timeo.noop_out_timeout = 2"} {
			if !strings.Contains(got[0], line+"\n") {
				t.Errorf("%s: iscsid.conf lacks %q:\n%s", host, line, got[0])
			}
		}
		b, err := os.ReadFile(filepath.Join(root, "etc/multipath/conf.d/perdure.conf"))
		if err != nil || strings.Count(string(b), "{") != strings.Count(string(b), "}") || !strings.Contains(string(b), "fast_io_fail_tmo 3\n") {
			t.Errorf("%s: %v\n%s", host, err, b)
		}
	}
}
