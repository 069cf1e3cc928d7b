// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// TestLimitsHoldForRealHosts: libiscsi, with 16 reads at a time, gets what its rule lets it
// have, through either array, without an error; and all there is when the rule is off.
func TestLimitsHoldForRealHosts(t *testing.T) {
	need(t, "iscsi-perf")
	p := newSuite(t)
	vv := group + ".0"
	p.command(rig.A, "createvvset", "slow", vv)
	p.command(rig.A, "setqos", "vvset:slow", "-io", "100", "-on")
	p.until(setUpIn, "array-b to have the rule", func() bool { return p.command(rig.B, "showqos", "-csvtable", "-nohdtot") != "" })
	if got := p.perf(rig.A, 4*time.Second); got < 70 || got > 130 {
		t.Errorf("%d reads a second through array-a, the limit is 100", got)
	}
	p.command(rig.B, "setrcopygroup", "switchover", group)
	p.whole()
	if got := p.perf(rig.B, 4*time.Second); got < 70 || got > 130 {
		t.Errorf("%d reads a second through array-b, the limit is 100", got)
	}
	p.command(rig.A, "setqos", "-off", "vvset:slow")
	p.until(setUpIn, "array-b to have the rule off", func() bool {
		return regexp.MustCompile(`,off,`).MatchString(p.command(rig.B, "showqos", "-csvtable", "-nohdtot"))
	})
	if got := p.perf(rig.B, 2*time.Second); got < 500 {
		t.Errorf("%d reads a second without a limit", got)
	}
}

// perf is how many reads of 4 KiB a second iscsi-perf does.
func (p *pair) perf(array int, span time.Duration) int {
	p.t.Helper()
	name := fmt.Sprintf("perf%d", time.Now().UnixNano())
	q, err := p.Lab.Node(lab.Host).StartCommand(lab.Command{Name: name, Args: []string{
		"iscsi-perf", "-i", initiators[0], "-m", "16", "-b", "8", "-r", "-t", strconv.Itoa(int(span.Seconds())), p.url(array, lab.Fabric1),
	}})
	p.must(err)
	ctx, cancel := context.WithTimeout(p.t.Context(), span+20*time.Second)
	defer cancel()
	err = q.Wait(ctx)
	_ = q.Kill()
	files, _ := filepath.Glob(filepath.Join(p.Dir, "logs", lab.Host+"-"+name+"-*.log"))
	if len(files) != 1 {
		p.t.Fatalf("iscsi-perf: logs %v", files)
	}
	out, readErr := os.ReadFile(files[0])
	p.must(readErr)
	all := regexp.MustCompile(`iops average (\d+)`).FindAllSubmatch(out, -1)
	if err != nil || len(all) == 0 {
		p.t.Fatalf("iscsi-perf: %v\n%s", err, end(string(out)))
	}
	n, err := strconv.Atoi(string(all[len(all)-1][1]))
	p.must(err)
	p.t.Logf("%d reads a second through %s", n, rig.Name(array))
	return n
}
