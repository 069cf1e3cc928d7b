// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Tick is the unit of the kernel's account of processes, on every Linux that Go knows.
const Tick = 10 * time.Millisecond

// Spent is the time of processors that a process took: fields 14 and 15 of its stat,
// counted behind the name, which may have anything in it (proc(5)).
func Spent(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("stat of process %d: %q", pid, b)
	}
	var sum int64
	for _, x := range f[11:13] {
		n, err := strconv.ParseInt(string(x), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat of process %d: %w", pid, err)
		}
		sum += n
	}
	return time.Duration(sum) * Tick, nil
}
