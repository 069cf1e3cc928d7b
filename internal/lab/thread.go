// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// A thread is an operating system thread in a network namespace of its own. All
// processes of a node are started from it: they are killed by the kernel when it
// ends, which is when the lab closes or this process dies.
type thread struct {
	ns    *os.File // the namespace
	calls chan func()
	quit  chan struct{}
	ended chan struct{}
	open  sync.Mutex // of ns: a visitor may come while the lab is closed
}

// newThread starts a thread in a new namespace.
func newThread() (*thread, error) {
	t := &thread{calls: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		defer close(t.ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- fmt.Errorf("make network namespace: %w: %w", ErrUnsupported, err)
			return
		}
		ns, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			ready <- fmt.Errorf("make network namespace: %w", err)
			return
		}
		t.ns = ns
		ready <- nil
		for {
			select {
			case f := <-t.calls:
				f()
			case <-t.quit:
				return
			}
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return t, nil
}

// do runs f on the thread.
func (t *thread) do(f func() error) error {
	done := make(chan error, 1)
	select {
	case t.calls <- func() { done <- f() }:
		return <-done
	case <-t.ended:
		return ErrClosed
	}
}

// visit runs f on another thread of the same namespace, so that it may take long.
// Sockets that f itself opens belong to the node for good; goroutines that it
// starts are elsewhere.
func (t *thread) visit(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, as above
		if err := t.enter(); err != nil {
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// enter puts the calling thread into the namespace, unless that was given up.
func (t *thread) enter() error {
	t.open.Lock()
	defer t.open.Unlock()
	return unix.Setns(int(t.ns.Fd()), unix.CLONE_NEWNET)
}

// end ends the thread, and with it the node's processes.
func (t *thread) end() {
	close(t.quit)
	<-t.ended
	t.open.Lock()
	defer t.open.Unlock()
	_ = t.ns.Close()
}
