// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// TestAWaitForNobodyEndsAtOnce: a group can't get in sync with an array that is away, and whoever
// waits for it is told so, long before a contact that was lost meanwhile is given up.
func TestAWaitForNobodyEndsAtOnce(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() && a.serves(a.stored("v").Group) })
	for _, c := range [][]string{{"syncrcopy", "-w", "g"}, {"startrcopygroup", "-wait", "g"}} {
		q, told := a.itself(c...), 0
		q.Tell = func(progress.Step) { told++ }
		if _, err := a.Do(t.Context(), q); err == nil || !strings.Contains(err.Error(), "It will by itself when that returns") || told != 0 {
			t.Errorf("%v: told how far it is %d times: %v", c, told, err)
		}
	}
}

// TestWhatWouldStopHostsIsRefused: a limit of a CPG below what is in use, one of nothing for hosts.
func TestWhatWouldStopHostsIsRefused(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createvv", "cpg0", "v", "64m")
	if n := a.fillUntilFull("v", 0, 24); n != 24 {
		t.Fatalf("%d MiB could be written", n)
	}
	if err := a.cpgs["cpg0"].Flush(a.stored("v").Group); err != nil {
		t.Fatal(err)
	}
	a.refuses("MiB are in use", "setcpg", "-sdgl", "8m", "cpg0")
	a.run("setcpg", "-sdgl", "128m", "cpg0")
	a.run("createvvset", "s", "v")
	a.run("setqos", "-io", "50-100", "vvset:s")
	a.refuses("or none", "setqos", "-io", "0", "vvset:s")
	a.refuses("or none", "setqos", "-bw", "00", "vvset:s")
	a.says("100", "showqos")
	a.run("setqos", "-io", "none", "-bw", "1m", "vvset:s")
	a.because(array.NoTask, "waittask", "7")
	a.refuses("each array numbers its own", "canceltask", "-f", "7")
}

// TestADrillKeepsItsVolumes until it is ended.
func TestADrillKeepsItsVolumes(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a := as[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("startrcopydrill", "g")
	a.refuses("'stoprcopydrill -f g' ends it", "removevv", "-f", "d1.g")
	a.run("stoprcopydrill", "-f", "g")
	if a.count("d1.g") != 0 {
		t.Error("its volume is left")
	}
}

// TestRefusalsSayWhatIsSo: of a group that is served here, elsewhere and nowhere; and a command that is
// refused where it is given keeps no other one waiting.
func TestRefusalsSayWhatIsSo(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.refuses("g is served here already", "setrcopygroup", "failover", "-f", "g")
	a.refuses("g is served here already", "setrcopygroup", "override", "-f", "g")
	a.run("stoprcopygroup", "-f", "g")
	b.run("setrcopygroup", "recover", "g") // which the array that serves it carries out
	a.until("the arrays to be in step", inStep(a, "g"))
	a.run("stoprcopygroup", "-f", "g")
	a.refuses("it is stopped: 'startrcopygroup g' first", "setrcopygroup", "switchover", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.Close()
	b.until("the other array to be lost", func() bool { f, err := b.Group("g"); return err == nil && !f.Contact && !b.reachable() })
	b.refuses("the other one does not answer", "stoprcopygroup", "-f", "g")
	b.refuses("does not answer", "setrcopygroup", "switchover", "g")
	a.open()
	a.until("the arrays to be in step", inStep(a, "g"))
	b.Close()
	a.alone()
	a.refuses("the other array does not answer", "setrcopygroup", "switchover", "g")
}
