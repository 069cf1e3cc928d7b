// SPDX-License-Identifier: Apache-2.0

package priority

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Daemons is the nice value of daemons: before what people start, behind what the machine
// itself must have.
const Daemons = -10

// attempts bounds how often threads are looked for that began meanwhile.
const attempts = 10

// Raise gives all threads of this process a nice value, from -20 to 19, if theirs is larger; new
// ones have that of the thread that begins them (sched(7)). Without the right to do so
// (CAP_SYS_NICE, or RLIMIT_NICE) it is an error, and nothing has changed.
func Raise(nice int) error {
	for range attempts {
		raised, err := raiseAll(nice)
		if err != nil || raised == 0 {
			return err
		}
	}
	return nil // new ones begin faster than they are found, from raised ones
}

// raiseAll raises the threads that there are. It returns how many were not yet.
func raiseAll(nice int) (raised int, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, fmt.Errorf("list the process's threads: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		is, err := unix.Getpriority(unix.PRIO_PROCESS, id)
		if errors.Is(err, unix.ESRCH) || err == nil && 20-is <= nice {
			continue // the kernel tells 20 less the value
		}
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, nice)
		}
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return raised, fmt.Errorf("set the nice value %d: %w", nice, err)
		}
		raised++
	}
	return raised, nil
}
