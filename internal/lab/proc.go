// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Command is what to run on a node.
type Command struct {
	// Name is for logs; the program's name if empty.
	Name string
	Args []string
	Env  []string // beside the environment of this process
	Dir  string
}

// A Proc is a process on a node, and everything that it started.
type Proc struct {
	node *Node
	name string
	cmd  *exec.Cmd
	log  *output
	done chan struct{} // closed when the process has ended
	err  error         // as of exec.Cmd.Wait, valid once done
}

// Start runs a program on the node. Its output goes to a file in the lab's
// directory and can be waited for.
func (n *Node) Start(args ...string) (*Proc, error) { return n.StartCommand(Command{Args: args}) }

// StartCommand is Start with more to say.
func (n *Node) StartCommand(c Command) (*Proc, error) {
	if len(c.Args) == 0 {
		return nil, fmt.Errorf("start on %s: no program", n.name)
	}
	if c.Name == "" {
		c.Name = filepath.Base(c.Args[0])
	}
	n.mu.Lock()
	n.runs++
	file := filepath.Join(n.lab.opt.Dir, fmt.Sprintf("%s-%s-%d.log", n.name, c.Name, n.runs))
	n.mu.Unlock()
	log, err := newOutput(file)
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", c.Name, n.name, err)
	}
	p := &Proc{node: n, name: c.Name, log: log, done: make(chan struct{})}
	p.cmd = exec.Command(c.Args[0], c.Args[1:]...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Dir = c.Dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.WaitDelay = 2 * time.Second // for grandchildren that keep the output open
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// On the node's thread: the process inherits its network, and dies with it.
	if err := n.thread.do(p.cmd.Start); err != nil {
		log.close()
		_ = os.Remove(file)
		return nil, fmt.Errorf("start %s on %s: %w", c.Name, n.name, err)
	}
	n.lab.opt.Logf("lab: started %s on %s, pid %d, log %s", c.Name, n.name, p.Pid(), file)
	n.mu.Lock()
	n.procs = append(n.procs, p)
	n.mu.Unlock()
	go func() {
		p.err = p.cmd.Wait()
		log.close()
		close(p.done)
	}()
	return p, nil
}

// Run runs a program to its end and returns what it wrote.
func (n *Node) Run(ctx context.Context, args ...string) (string, error) {
	p, err := n.Start(args...)
	if err != nil {
		return "", err
	}
	if err := p.Wait(ctx); err != nil {
		_ = p.Kill()
		return p.Log(), fmt.Errorf("run %s on %s: %w\n%s", strings.Join(args, " "), n.name, err, p.Log())
	}
	return p.Log(), nil
}

// Pid returns the process id, as seen by this process.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// File returns where all that the process writes is kept.
func (p *Proc) File() string { return p.log.file.Name() }

// Done is closed when the process has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Wait waits for the end. The error is an *exec.ExitError if the program failed.
func (p *Proc) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("wait for %s on %s: %w", p.name, p.node.name, ctx.Err())
	}
}

// Signal sends a signal to the process alone.
func (p *Proc) Signal(s syscall.Signal) error {
	p.node.lab.opt.Logf("lab: %v to %s on %s", s, p.name, p.node.name)
	return p.cmd.Process.Signal(s)
}

// group sends a signal to the process and all that it started.
func (p *Proc) group(s syscall.Signal) error {
	select {
	case <-p.done:
		// The number may be another's by now, unless children keep the group alive;
		// they have lost their parent and are not looked after.
		return os.ErrProcessDone
	default:
	}
	p.node.lab.opt.Logf("lab: %v to %s on %s", s, p.name, p.node.name)
	return syscall.Kill(-p.Pid(), s)
}

// Kill is kill -9, and waits until nothing of the process is left.
func (p *Proc) Kill() error {
	err := p.group(syscall.SIGKILL)
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	<-p.done
	return err
}

// Terminate asks the process to end, and kills it if it does not within the grace.
func (p *Proc) Terminate(grace time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		return errors.Join(fmt.Errorf("%s on %s did not end within %v", p.name, p.node.name, grace), p.Kill())
	}
}

// Stop freezes the process (SIGSTOP), and returns when it stands still.
func (p *Proc) Stop() error {
	if err := p.group(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop %s on %s: %w", p.name, p.node.name, err)
	}
	for {
		select {
		case <-p.done:
			return fmt.Errorf("stop %s on %s: it has ended", p.name, p.node.name)
		default:
		}
		if stopped(p.Pid()) {
			return nil
		}
		nap := unix.NsecToTimespec(int64(100 * time.Microsecond))
		_ = unix.Nanosleep(&nap, nil)
	}
}

// stopped reports whether every thread of the process stands still.
func stopped(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, t := range tasks {
		stat, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that ended
		}
		// The state follows the name, which is in parentheses and may hold some.
		_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		if !ok || !strings.HasPrefix(rest, "T") {
			return false
		}
	}
	return len(tasks) > 0
}

// Cont lets a stopped process go on.
func (p *Proc) Cont() error {
	if err := p.group(syscall.SIGCONT); err != nil {
		return fmt.Errorf("continue %s on %s: %w", p.name, p.node.name, err)
	}
	return nil
}

// killAll ends all processes of the node.
func (n *Node) killAll() {
	n.mu.Lock()
	procs := append([]*Proc(nil), n.procs...)
	n.mu.Unlock()
	for _, p := range procs {
		_ = p.group(syscall.SIGKILL)
	}
	for _, p := range procs {
		<-p.done
	}
}

// PowerOff kills all processes of the node at once.
func (n *Node) PowerOff() {
	n.lab.opt.Logf("lab: power off %s", n.name)
	n.killAll()
}
