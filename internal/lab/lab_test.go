// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	// The test program is its own real process on the nodes.
	if addr := os.Getenv("LAB_ECHO"); addr != "" {
		os.Exit(echoServer(addr))
	}
	os.Exit(Main(m.Run))
}

// echoServer answers every line with the same line, until it is killed.
func echoServer(addr string) int {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Println("listen:", err)
		return 1
	}
	fmt.Println("listening on", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// pair is two nodes on networks n1 and n2, with an echo server on b.
func pair(t testing.TB) (*Lab, *Node, *Node, *Proc) {
	t.Helper()
	l := Test(t)
	for _, n := range []string{"n1", "n2"} {
		if _, err := l.AddNetwork(n); err != nil {
			t.Fatal(err)
		}
	}
	var nodes []*Node
	for _, n := range []string{"a", "b"} {
		node, err := l.AddNode(n, "n1", "n2")
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	p := echo(t, nodes[1])
	return l, nodes[0], nodes[1], p
}

func echo(t testing.TB, n *Node) *Proc {
	t.Helper()
	p, err := n.StartCommand(Command{Name: "echo", Args: []string{"/proc/self/exe"}, Env: []string{"LAB_ECHO=:7"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Expect(soon(t), `listening on .*:7`); err != nil {
		t.Fatal(err)
	}
	return p
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A talk is a connection to the echo server.
type talk struct {
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, from, to *Node, network string) *talk {
	t.Helper()
	c, err := from.DialContext(soon(t), "tcp", fmt.Sprintf("%v:7", to.Addr(network)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &talk{c, bufio.NewReader(c)}
}

// ping sends a line and waits for it to come back.
func (c *talk) ping(patience time.Duration) (time.Duration, error) {
	begin := time.Now()
	_ = c.SetDeadline(begin.Add(patience))
	if _, err := c.Write([]byte("hello\n")); err != nil {
		return 0, err
	}
	_, err := c.in.ReadString('\n')
	return time.Since(begin), err
}

func (c *talk) mustPing(t testing.TB) time.Duration {
	t.Helper()
	d, err := c.ping(20 * time.Second)
	if err != nil {
		t.Fatalf("ping: %v", err)
	}
	return d
}

func (c *talk) mustFail(t testing.TB) {
	t.Helper()
	if _, err := c.ping(150 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("ping over a cut wire: %v", err)
	}
}

func TestNodesReachEachOtherOnly(t *testing.T) {
	l, a, b, _ := pair(t)
	dial(t, a, b, "n1").mustPing(t)
	dial(t, a, b, "n2").mustPing(t)
	// A node without networks reaches nobody. (The real machine may reach anything,
	// or pretend to.)
	alone, err := l.AddNode("alone")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := alone.DialContext(soon(t), "tcp", fmt.Sprintf("%v:7", b.Addr("n1"))); err == nil {
		c.Close()
		t.Error("a node without networks reaches another")
	}
	if b.Addr("none").IsValid() {
		t.Error("an address on no network")
	}
}

func TestCutAndHeal(t *testing.T) {
	l, a, b, _ := pair(t)
	one, two := dial(t, a, b, "n1"), dial(t, a, b, "n2")
	one.mustPing(t)
	two.mustPing(t)
	for name, c := range map[string]struct {
		from, to string
		d        Direction
	}{"both": {"a", "b", Both}, "a to b": {"a", "b", OneWay}, "b to a": {"b", "a", OneWay}} {
		t.Run(name, func(t *testing.T) {
			if err := l.Cut(c.from, c.to, "n1", c.d); err != nil {
				t.Fatal(err)
			}
			_, before := l.Counts(c.from, c.to, "n1")
			one.mustFail(t)
			if _, after := l.Counts(c.from, c.to, "n1"); after == before {
				t.Error("nothing was lost")
			}
			two.mustPing(t)
			if err := l.Heal(c.from, c.to, "n1", c.d); err != nil {
				t.Fatal(err)
			}
			// TCP sends the line again; its answer is the late one's.
			_ = one.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := one.in.ReadString('\n'); err != nil {
				t.Errorf("after the cut: %v", err)
			}
		})
	}
	if err := l.Cut("a", "b", "none", Both); err == nil {
		t.Error("cut of no network")
	}
	if err := l.Cut("a", "c", "", Both); err == nil {
		t.Error("cut of no node")
	}
}

func TestOneWayCutIsOneWay(t *testing.T) {
	l, a, b, _ := pair(t)
	c := dial(t, a, b, "n1")
	c.mustPing(t)
	if err := l.Cut("b", "a", "n1", OneWay); err != nil {
		t.Fatal(err)
	}
	before, _ := l.Counts("a", "b", "n1")
	c.mustFail(t)
	if after, _ := l.Counts("a", "b", "n1"); after == before {
		t.Error("nothing passed the other way")
	}
}

func TestIsolate(t *testing.T) {
	l, a, b, _ := pair(t)
	one, two := dial(t, a, b, "n1"), dial(t, a, b, "n2")
	one.mustPing(t)
	two.mustPing(t)
	if err := l.Isolate("b", ""); err != nil {
		t.Fatal(err)
	}
	one.mustFail(t)
	two.mustFail(t)
	if err := l.Rejoin("b", ""); err != nil {
		t.Fatal(err)
	}
	dial(t, a, b, "n1").mustPing(t)
}

func TestDelay(t *testing.T) {
	l, a, b, _ := pair(t)
	c := dial(t, a, b, "n1")
	for _, delay := range []time.Duration{200 * time.Microsecond, time.Millisecond, 5 * time.Millisecond} {
		if err := l.Delay("a", "b", "n1", Both, delay); err != nil {
			t.Fatal(err)
		}
		best := time.Hour
		for range 20 {
			best = min(best, c.mustPing(t))
		}
		t.Logf("delay %v each way: round trip %v", delay, best)
		// Too late is the machine's load; too early would be our mistake.
		if best < 2*delay || best > 2*delay+5*time.Millisecond {
			t.Errorf("delay %v each way: round trip %v", delay, best)
		}
	}
	if err := l.Delay("a", "b", "n1", OneWay, 0); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 20 {
		best = min(best, c.mustPing(t))
	}
	if best < 5*time.Millisecond || best >= 10*time.Millisecond {
		t.Errorf("5 ms one way: round trip %v", best)
	}
}

func TestLossAndRate(t *testing.T) {
	l, a, b, _ := pair(t)
	c := dial(t, a, b, "n1")
	if err := l.Shape("a", "b", "n1", Both, Shape{Loss: 0.1}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		c.mustPing(t)
	}
	if err := l.Shape("a", "b", "n1", OneWay, Shape{Rate: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := l.Shape("b", "a", "n1", OneWay, Shape{}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	const n = 256 << 10
	go func() { _, _ = c.Write(make([]byte, n)) }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c.in, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("256 KiB at 1 MiB/s took %v", took)
	}
}

func TestPlug(t *testing.T) {
	_, a, b, _ := pair(t)
	c := dial(t, a, b, "n1")
	c.mustPing(t)
	carrier := func() string {
		out, err := a.Run(soon(t), "sh", "-c", "ip -o link show n1")
		if err != nil {
			t.Skipf("no ip here: %v", err)
		}
		return out
	}
	if !strings.Contains(carrier(), "LOWER_UP") {
		t.Error("no carrier at first")
	}
	if err := a.Plug("n1", false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(carrier(), "LOWER_UP") {
		t.Error("carrier on an unplugged network")
	}
	c.mustFail(t)
	if err := a.Plug("n1", true); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.in.ReadString('\n'); err != nil {
		t.Errorf("plugged in again: %v", err)
	}
}

func TestExpose(t *testing.T) {
	_, a, b, _ := pair(t)
	l, err := b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "console") })}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	addr, err := a.Expose("127.0.0.1:0", fmt.Sprintf("%v:80", b.Addr("n1")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "console" {
		t.Errorf("body %q", body)
	}
}

// TestTakeover moves an address from one node to another, as a survivor does with
// a dead array's portal.
func TestTakeover(t *testing.T) {
	l, a, b, _ := pair(t)
	c, err := l.AddNode("c", "n1")
	if err != nil {
		t.Fatal(err)
	}
	echo(t, c)
	const portal = "10.77.1.200/24"
	if out, err := b.Run(soon(t), "ip", "addr", "add", portal, "dev", "n1"); err != nil {
		t.Skipf("no ip here: %s", out)
	}
	to := func() error {
		x, err := a.DialContext(soon(t), "tcp", "10.77.1.200:7")
		if err != nil {
			return err
		}
		defer x.Close()
		_, err = (&talk{x, bufio.NewReader(x)}).ping(20 * time.Second)
		return err
	}
	if err := to(); err != nil {
		t.Fatal(err)
	}
	if err := l.Isolate("b", ""); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Run(soon(t), "ip", "addr", "add", portal, "dev", "n1"); err != nil {
		t.Fatal(out, err)
	}
	if out, err := a.Run(soon(t), "ip", "neigh", "flush", "dev", "n1"); err != nil {
		t.Fatal(out, err)
	}
	if err := to(); err != nil {
		t.Errorf("after the takeover: %v", err)
	}
}

func TestStandard(t *testing.T) {
	l := Test(t)
	if err := l.Standard(); err != nil {
		t.Fatal(err)
	}
	echo(t, l.Node(Witness))
	dial(t, l.Node(A), l.Node(Witness), Manage).mustPing(t)
	if l.Node(Host).Addr(Link1).IsValid() || !l.Node(Host).Addr(Fabric2).IsValid() {
		t.Error("the host is on the wrong networks")
	}
	if err := l.Isolate(Witness, Manage); err != nil {
		t.Error(err)
	}
}

func TestNamespaceIsOwn(t *testing.T) {
	_, a, _, _ := pair(t)
	var here, there unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		t.Fatal(err)
	}
	if err := a.Do(func() error { return unix.Stat("/proc/thread-self/ns/net", &there) }); err != nil {
		t.Fatal(err)
	}
	if here.Ino == there.Ino {
		t.Error("the node shares the test's namespace")
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	_, x, y, _ := pair(b)
	c := dial(b, x, y, "n1")
	for b.Loop() {
		c.mustPing(b)
	}
}

func BenchmarkStream(b *testing.B) {
	_, x, y, _ := pair(b)
	l, err := y.Listen("tcp", ":99")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c, err := x.DialContext(soon(b), "tcp", fmt.Sprintf("%v:99", y.Addr("n1")))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
}
