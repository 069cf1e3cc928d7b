// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrUnsupported says that this machine lets us have no lab.
var ErrUnsupported = errors.New("no network namespaces here")

// insideEnv marks the program that Main started.
const insideEnv = "PERDURE_LAB_INSIDE"

// Main runs the program where labs can be made, and returns its exit code: right
// here if this process may make network namespaces, otherwise again, with the same
// arguments, in a user namespace in which it may. If that is impossible it runs
// here too, and New will say why.
func Main(run func() int) int {
	switch os.Getenv(insideEnv) {
	case "probe":
		return probe()
	case "":
	default:
		return run()
	}
	if possible() == nil {
		return run()
	}
	// Tried out first: a program that ran halfway can't be taken back.
	try := exec.Command("/proc/self/exe", os.Args[1:]...)
	try.Args[0] = os.Args[0]
	if err := again(try, "probe").Run(); err != nil {
		return run()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	code, err := follow(again(cmd, "1"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: run in a user namespace:", err)
		return 1
	}
	return code
}

// probe ends the process that Main started only to see whether a namespace can be
// had.
func probe() int {
	if possible() != nil {
		return 1
	}
	return 0
}

// again sets cmd up to run as root of a new user namespace, in which only the
// user that runs this exists, with mounts of its own.
func again(cmd *exec.Cmd, how string) *exec.Cmd {
	cmd.Env = append(os.Environ(), insideEnv+"="+how)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, // which lets it mount
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd
}

// follow runs cmd to its end, passing on signals.
func follow(cmd *exec.Cmd) (int, error) {
	// The child dies with the thread that started it: hold on to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may be gone; then Wait says so
		case err := <-done:
			var exit *exec.ExitError
			if err == nil || errors.As(err, &exit) {
				if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
					return 128 + int(ws.Signal()), nil
				}
				return cmd.ProcessState.ExitCode(), nil
			}
			return 0, err
		}
	}
}

// possible says what keeps this process from making a lab.
func possible() error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("%w: unshare: %w", ErrUnsupported, err)
			return
		}
		if err := makeVeth("probe0", "probe1", nil); err != nil {
			done <- fmt.Errorf("%w: %w", ErrUnsupported, err)
			return
		}
		f, err := openPort("probe0")
		if err != nil {
			done <- fmt.Errorf("%w: %w", ErrUnsupported, err)
			return
		}
		done <- f.Close()
	}()
	return <-done
}
