// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/lab"
)

// agentPort is where the agent takes scripts.
const agentPort = 7077

// maxOutput bounds what a script's output may take of memory.
const maxOutput = 64 << 20

// A Machine is a guest that runs on a node of a lab.
type Machine struct {
	name    string
	node    *lab.Node
	desk    *lab.Node // from where it is given scripts
	control string    // the network on which
	cmd     lab.Command
	http    *http.Client

	mu   sync.Mutex
	proc *lab.Proc
}

// Place says where a guest lives.
type Place struct {
	Lab *lab.Lab
	// Node is the node whose devices and addresses it has, Networks those that it is
	// attached to. The first is the one on which it is given scripts, from the node Desk.
	Node, Desk string
	Networks   []string
	// MemoryMiB is how much memory it has.
	MemoryMiB int
}

// New prepares a guest on a node, which gives its addresses away.
func (i Image) New(p Place) (*Machine, error) {
	if i.stock {
		return i.newStock(p)
	}
	m, addrs, err := newMachine(p)
	if err != nil {
		return nil, err
	}
	args := []string{
		i.Kernel, fmt.Sprintf("mem=%dM", p.MemoryMiB), "initrd=" + i.Archive, "con=null", "con0=null,fd:1", "ssl=null",
		"uml_dir=" + i.Work, "panic=-1", "perdure.root=hostfs:" + i.Root, "perdure.name=" + p.Node,
	}
	var nets []string
	for n, network := range p.Networks {
		args = append(args, fmt.Sprintf("vec%d:transport=raw,ifname=%s,depth=128,gro=1,mac=%s", n, network, mac(addrs[n])))
		nets = append(nets, fmt.Sprintf("vec%d=%v/24", n, addrs[n]))
	}
	m.cmd = lab.Command{Name: "linux", Args: append(args, "perdure.net="+strings.Join(nets, ",")), Env: []string{"TMPDIR=" + memoryDir()}}
	return m, nil
}

func newMachine(p Place) (*Machine, []netip.Addr, error) {
	m := &Machine{name: p.Node, node: p.Lab.Node(p.Node), desk: p.Lab.Node(p.Desk)}
	if m.node == nil || m.desk == nil || len(p.Networks) == 0 {
		return nil, nil, fmt.Errorf("guest on %s: want a node, a desk and a network", p.Node)
	}
	m.control = p.Networks[0]
	var addrs []netip.Addr
	for _, n := range p.Networks {
		a := m.node.Addr(n)
		if !a.IsValid() {
			return nil, nil, fmt.Errorf("guest on %s: it is not attached to %s", p.Node, n)
		}
		addrs = append(addrs, a)
	}
	m.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return m.desk.DialContext(ctx, network, addr)
		},
		DisableKeepAlives: true, // a guest that boots again knows nothing of old connections
	}}
	return m, addrs, m.node.Lend()
}

// mac makes an Ethernet address of an IP address: the same at each boot.
func mac(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}

// memoryDir is where a guest's memory is kept as a file: in memory, if this machine has
// such a place.
func memoryDir() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// Boot starts the guest and waits until it takes scripts.
func (m *Machine) Boot(ctx context.Context) error {
	p, err := m.node.StartCommand(m.cmd)
	if err != nil {
		return fmt.Errorf("boot %s: %w", m.name, err)
	}
	m.mu.Lock()
	m.proc = p
	m.mu.Unlock()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := m.Run(try, "true")
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("boot %s: it ended:\n%s", m.name, last(p.Log(), 3000))
		case <-ctx.Done():
			return fmt.Errorf("boot %s: %w; %w:\n%s", m.name, ctx.Err(), err, last(p.Log(), 3000))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// PowerOff ends the guest at once, as a host that loses its power.
func (m *Machine) PowerOff() error {
	m.mu.Lock()
	p := m.proc
	m.proc = nil
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.Kill()
}

// Console returns what the guest's kernel wrote since it was booted.
func (m *Machine) Console() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil {
		return ""
	}
	return m.proc.Log()
}

// Run runs a script to its end and returns what it wrote.
func (m *Machine) Run(ctx context.Context, script string) (string, error) {
	j, err := m.Start(ctx, script)
	if err != nil {
		return "", err
	}
	return j.Wait()
}

// A Job is a script that runs in a guest.
type Job struct {
	m    *Machine
	done chan struct{}

	mu   sync.Mutex
	text []byte
	err  error // valid once done is closed
}

// Start runs a script, which ends at once when ctx does, with all that it started.
func (m *Machine) Start(ctx context.Context, script string) (*Job, error) {
	url := fmt.Sprintf("http://%v:%d/run", m.node.Addr(m.control), agentPort)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(script))
	if err != nil {
		return nil, fmt.Errorf("run a script on %s: %w", m.name, err)
	}
	r, err := m.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("run a script on %s: %w", m.name, err)
	}
	j := &Job{m: m, done: make(chan struct{})}
	go func() {
		defer close(j.done)
		defer r.Body.Close()
		_, err := io.Copy(j, r.Body)
		code := r.Trailer.Get("Exit")
		switch {
		case r.StatusCode != http.StatusOK:
			j.err = fmt.Errorf("script on %s: the agent answers %s", m.name, r.Status)
		case err != nil:
			j.err = fmt.Errorf("script on %s: %w\n%s", m.name, err, last(j.Text(), 12000))
		case code != "0":
			j.err = fmt.Errorf("script on %s: it ends with %q\n%s", m.name, code, last(j.Text(), 12000))
		}
	}()
	return j, nil
}

// Write takes output.
func (j *Job) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.text)+len(p) > maxOutput {
		return 0, errors.New("a script wrote too much")
	}
	j.text = append(j.text, p...)
	return len(p), nil
}

// Text returns what the script has written.
func (j *Job) Text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.text)
}

// Done is closed when the script has ended.
func (j *Job) Done() <-chan struct{} { return j.done }

// Wait waits for the end and returns what the script wrote.
func (j *Job) Wait() (string, error) {
	<-j.done
	return j.Text(), j.err
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }
