// SPDX-License-Identifier: Apache-2.0

package priority

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRaise in a process of its own: all of its threads have the value, those that were there
// and those that begin later.
func TestRaise(t *testing.T) {
	if os.Getenv("PRIORITY_TEST") != "" {
		raiseHere()
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestRaise$")
	c.Env = append(os.Environ(), "PRIORITY_TEST=1")
	out, err := c.CombinedOutput()
	switch text := string(out); {
	case strings.Contains(text, "NO RIGHT"):
		t.Skip("setpriority(2) is refused: raising priorities takes CAP_SYS_NICE, which root has in 'make test'")
	case err != nil || !strings.Contains(text, "ALL RAISED"):
		t.Errorf("%v: %s", err, text)
	}
}

func raiseHere() {
	begin := func() (end chan bool) {
		end = make(chan bool)
		began := make(chan bool)
		for range 8 {
			go func() {
				runtime.LockOSThread()
				began <- true
				<-end
			}()
			<-began
		}
		return end
	}
	defer close(begin())
	if err := Raise(Daemons); errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		fmt.Println("NO RIGHT")
		return
	} else if err != nil {
		fmt.Println(err)
		return
	}
	defer close(begin())
	if n, err := raiseAll(Daemons); n != 0 || err != nil {
		fmt.Println(n, "were not raised:", err)
		return
	}
	fmt.Println("ALL RAISED")
}
