// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/hostkey"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
)

// rig is a server with two users, ann (edit) and bob (browse).
type rig struct {
	t      *testing.T
	server *Server
	book   *people.Book
	key    ssh.Signer // ann's
	mu     sync.Mutex
	ran    []string
	// waits is told when the command wait is begun; it ends with its context.
	waits chan struct{}
}

const password = "correct horse"

func newRig(t *testing.T, l Limits) *rig {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	dir := t.TempDir()
	st, err := store.Open(filepath.Join(dir, "db"))
	ok(t, err)
	r := &rig{t: t, waits: make(chan struct{}, 1)}
	r.book = people.Open(st, people.Options{Cost: people.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}})
	for name, role := range map[string]people.Role{"ann": people.Edit, "bob": people.Browse} {
		c, err := r.book.NewUser(name, people.Grants{Role: role}, password)
		ok(t, err)
		if name == "ann" {
			r.key = r.newKey()
			k, err := people.ParseKey(string(ssh.MarshalAuthorizedKey(r.key.PublicKey())))
			ok(t, err)
			c.Now.AddKey(k, false)
		}
		_, err = r.book.Make(c)
		ok(t, err)
	}
	r.server, err = Open(Config{Name: "array-a", Listen: []string{"127.0.0.1:0"}, Keys: hostKeys(t), Users: r.book, Run: r.run, Logger: slog.New(slog.DiscardHandler), Limits: l})
	ok(t, err)
	t.Cleanup(func() {
		r.server.Close()
		ok(t, st.Close())
		goleak.VerifyNone(t, leaks)
	})
	return r
}

// hostKeys are the host's, which are made once: an RSA key takes its time.
func hostKeys(t *testing.T) *hostkey.Keys {
	t.Helper()
	dir, err := madeOnce()
	ok(t, err)
	k, err := hostkey.Open(dir)
	ok(t, err)
	return k
}

var madeOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "perdure-sshd-")
	if err == nil {
		_, err = hostkey.Open(dir)
	}
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := madeOnce(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) newKey() ssh.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	ok(r.t, err)
	s, err := ssh.NewSignerFromKey(k)
	ok(r.t, err)
	return s
}

// run is a small array: show prints a table, change is for those who may.
func (r *rig) run(ctx context.Context, by people.Session, words []string, style table.Style) (string, error) {
	r.mu.Lock()
	r.ran = append(r.ran, by.User+" "+strings.Join(words, "|"))
	r.mu.Unlock()
	switch words[0] {
	case "fail":
		panic("a defect")
	case "show":
		t := table.New(">Id", "Name")
		t.Row(1, "v")
		t.Total(1, "total")
		return t.String(style), nil
	case "change", "createuser":
		if !by.May(people.Change) {
			return "", array.Errorf(array.Denied, "user %s may not", by.User)
		}
		return "", nil
	case "remove":
		if !slices.Contains(words, "-f") {
			return "", array.Errorf(array.Invalid, "remove removes it: say -f").Because(array.Unconfirmed)
		}
		return "", nil
	case "changedomain":
		return "", r.book.Enter(by.Key, words[1])
	case "domain":
		return by.Domain + "\n", nil
	case "wait":
		r.waits <- struct{}{}
		<-ctx.Done()
		r.waits <- struct{}{}
		return "", ctx.Err()
	}
	return "half an answer\n", array.Errorf(array.Invalid, "unknown command %q", words[0])
}

func (r *rig) dial(user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	if len(auth) == 0 {
		auth = []ssh.AuthMethod{ssh.Password(password)}
	}
	return ssh.Dial("tcp", r.server.Addrs()[0].String(), &ssh.ClientConfig{
		User: user, Auth: auth, Timeout: 10 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
}

func (r *rig) session(user string) *ssh.Session {
	r.t.Helper()
	c, err := r.dial(user)
	ok(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	s, err := c.NewSession()
	ok(r.t, err)
	return s
}

// exec runs a line without a shell.
func (r *rig) exec(user, line string) (out, errs string, status int) {
	r.t.Helper()
	s := r.session(user)
	var o, e bytes.Buffer
	s.Stdout, s.Stderr = &o, &e
	err := s.Run(line)
	var x *ssh.ExitError
	if errors.As(err, &x) {
		status = x.ExitStatus()
	} else {
		ok(r.t, err)
	}
	return o.String(), e.String(), status
}

// shell sends a text to a shell in pieces, and returns all that came. A piece begins when
// what came ends with the text of after.
func (r *rig) shell(user string, pty bool, pieces ...string) string {
	r.t.Helper()
	s := r.session(user)
	if pty {
		ok(r.t, s.RequestPty("vt100", 24, 80, ssh.TerminalModes{}))
	}
	in, err := s.StdinPipe()
	ok(r.t, err)
	out, err := s.StdoutPipe()
	ok(r.t, err)
	ok(r.t, s.Shell())
	var got []byte
	for i, p := range pieces {
		if i%2 == 1 { // what must have come
			b := make([]byte, 1)
			for !bytes.HasSuffix(got, []byte(p)) {
				if _, err := io.ReadFull(out, b); err != nil {
					r.t.Fatalf("after %q: %v, want %q", got, err, p)
				}
				got = append(got, b...)
			}
			continue
		}
		_, err := io.WriteString(in, p)
		ok(r.t, err)
	}
	_ = in.Close()
	rest, err := io.ReadAll(out)
	ok(r.t, err)
	return string(append(got, rest...))
}

// TestTheScriptsShell: byte by byte what the incumbent's python client reads, with a
// terminal and without.
func TestTheScriptsShell(t *testing.T) {
	r := newRig(t, Limits{Ahead: 10 * time.Second})
	const want = "setclienv csvtable 1\r\nshow\r\nexit\r\n" +
		"array-a cli% setclienv csvtable 1\r\n" +
		"array-a cli% show\r\n" +
		"Id,Name\r\n1,v\r\n--------\r\n1,total\r\n" +
		"array-a cli% exit\r\n"
	for _, pty := range []bool{false, true} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			got := r.shell("ann", pty, strings.ReplaceAll("setclienv csvtable 1\nshow\nexit\n", "\n", end))
			if got != want {
				t.Errorf("pty %v, lines that end with %q:\n%q, want\n%q", pty, end, got, want)
			}
		}
		// As the client: without the first 5 and the last 2 lines.
		lines := strings.Split(r.shell("ann", pty, "setclienv csvtable 1\nchange x\nexit\n"), "\r\n")
		if lines = lines[5 : len(lines)-2]; len(lines) != 0 {
			t.Errorf("a command that says nothing: %q", lines)
		}
		lines = strings.Split(r.shell("bob", pty, "setclienv csvtable 1\nchange x\nexit\n"), "\r\n")
		if lines = lines[5 : len(lines)-2]; len(lines) != 1 || lines[0] != "user bob may not" {
			t.Errorf("one who may look only: %q", lines)
		}
	}
}

// TestAShellLineByLine: a prompt, then what was sent, then what it said.
func TestAShellLineByLine(t *testing.T) {
	r := newRig(t, Limits{})
	const prompt = "array-a cli% "
	for _, pty := range []bool{false, true} {
		first := "show\n"
		pieces := []string{first, "\r\n" + prompt, "setclienv nohdtot 1; show\n", " 1 v\r\n" + prompt, "nothing 'x y'\n", "unknown command \"nothing\"\r\n" + prompt, "exit\n"}
		got := r.shell("ann", pty, pieces...)
		want := "show\r\n" + prompt + "show\r\nId Name\r\n 1 v\r\n--------\r\n 1 total\r\n" +
			prompt + "setclienv nohdtot 1; show\r\n 1 v\r\n" +
			prompt + "nothing 'x y'\r\nhalf an answer\r\nunknown command \"nothing\"\r\n" +
			prompt + "exit\r\n"
		if got != want {
			t.Errorf("pty %v:\n%q, want\n%q", pty, got, want)
		}
	}
	// One who types nothing gets a prompt, and can edit.
	got := r.shell("ann", true, "", prompt, "shoe\x7fw\r", "total\r\n"+prompt, "\x04")
	if want := "show\r\n"; !strings.Contains(got, " 1 total\r\n") || !strings.HasPrefix(got, prompt) || strings.Contains(got, want+want) {
		t.Errorf("%q", got)
	}
	// The end of the input is an end, also within a line.
	if got := r.shell("ann", false, "show"); got != "show\r\n"+prompt+"show\r\nId Name\r\n 1 v\r\n--------\r\n 1 total\r\n"+prompt+"\r\n" {
		t.Errorf("%q", got)
	}
}

// TestPasswordsAreAskedFor at a terminal, and never shown.
func TestPasswordsAreAskedFor(t *testing.T) {
	r := newRig(t, Limits{Ahead: time.Millisecond})
	const prompt = "array-a cli% "
	got := r.shell("ann", true, "", prompt, "createuser cam all edit\r", "Password: ", "secret-secret\r", "Again: ", "secret-secret\r", prompt, "exit\r")
	if strings.Contains(got, "secret") {
		t.Errorf("it is shown: %q", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ran) != 1 || r.ran[0] != "ann createuser|-c|secret-secret|cam|all|edit" {
		t.Errorf("%q", r.ran)
	}
}

// TestWhoSitsThereIsAsked whether they are sure; a script hears what it lacks.
func TestWhoSitsThereIsAsked(t *testing.T) {
	const prompt = "array-a cli% "
	for answer, gave := range map[string]string{"y": "ann remove|v,ann remove|-f|v", "n": "ann remove|v"} {
		r := newRig(t, Limits{Ahead: time.Millisecond, Quiet: time.Millisecond})
		got := r.shell("ann", true, "", prompt, "remove v\r", "y=yes n=no: ", answer+"\r", prompt, "exit\r")
		if !strings.Contains(got, "remove removes it.\r\n") || strings.Join(r.ran, ",") != gave {
			t.Errorf("%q gave %q: %q", answer, r.ran, got)
		}
	}
	r := newRig(t, Limits{})
	if got := r.shell("ann", false, "remove v\nexit\n"); !strings.Contains(got, "remove removes it: say -f\r\n") {
		t.Errorf("%q", got)
	}
}

func TestExec(t *testing.T) {
	r := newRig(t, Limits{})
	for _, c := range []struct {
		user, line, out, errs string
		status                int
	}{
		{"ann", "setclienv csvtable 1; setclienv nohdtot 1; show; exit", "1,v\n", "", 0},
		{"ann", "show", "Id Name\n 1 v\n--------\n 1 total\n", "", 0},
		{"ann", "exit; show", "", "", 0},
		{"ann", "", "", "", 0},
		{"ann", "nothing; setclienv nohdtot 1; show", "half an answer\n 1 v\n", "unknown command \"nothing\"\n", 1},
		{"ann", "show 'x", "", "the line ends within quotation marks, or after a backslash\n", 1},
		{"bob", "change", "", "user bob may not\n", 1},
	} {
		out, errs, status := r.exec(c.user, c.line)
		if out != c.out || errs != c.errs || status != c.status {
			t.Errorf("%s: %s: %q, %q, %d", c.user, c.line, out, errs, status)
		}
	}
}

// TestWhoGetsIn: who has the password or the key, as who he is.
func TestWhoGetsIn(t *testing.T) {
	r := newRig(t, Limits{})
	for _, c := range []struct {
		user string
		auth ssh.AuthMethod
		in   bool
	}{
		{"ann", ssh.Password(password), true},
		{"ann", ssh.Password("wrong"), false},
		{"cam", ssh.Password(password), false},
		{people.Local, ssh.Password(""), false},
		{"ann", ssh.PublicKeys(r.key), true},
		{"ann", ssh.PublicKeys(r.newKey()), false},
		{"ann", ssh.PublicKeys(r.newKey(), r.key), true},
		{"bob", ssh.PublicKeys(r.key), false},
	} {
		x, err := r.dial(c.user, c.auth)
		if (err == nil) != c.in {
			t.Errorf("%s: %v", c.user, err)
		}
		if err != nil {
			continue
		}
		s, err := x.NewSession()
		ok(t, err)
		if all := r.book.Sessions(time.Now()); len(all) != 1 || all[0].User != c.user {
			t.Errorf("%s: %+v", c.user, all)
		}
		if _, err := x.Dial("tcp", "127.0.0.1:1"); err == nil {
			t.Error("it forwards")
		}
		if err := s.RequestSubsystem("sftp"); err == nil {
			t.Error("it has files")
		}
		ok(t, x.Close())
		for len(r.book.Sessions(time.Now())) > 0 { // until it has noticed
			time.Sleep(time.Millisecond)
		}
	}
	if err := r.withoutAuth(); err == nil {
		t.Error("in without proving anything")
	}
	for range 8 { // locked out, the right password does not help
		if c, err := r.dial("bob", ssh.Password("wrong")); err == nil {
			ok(t, c.Close())
		}
	}
	if _, err := r.dial("bob"); err == nil {
		t.Error("not locked out")
	}
}

func (r *rig) withoutAuth() error {
	c, err := ssh.Dial("tcp", r.server.Addrs()[0].String(), &ssh.ClientConfig{User: "ann", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err == nil {
		_ = c.Close()
	}
	return err
}

// TestASessionThatIsOver: a user who is removed gives no further command.
func TestASessionThatIsOver(t *testing.T) {
	r := newRig(t, Limits{})
	c, err := r.dial("ann")
	ok(t, err)
	defer c.Close()
	u, err := r.book.User("ann")
	ok(t, err)
	_, err = r.book.Make(people.UserChange{Name: "ann", Was: &u})
	ok(t, err)
	s, err := c.NewSession()
	ok(t, err)
	out, err := s.CombinedOutput("show; show")
	if err == nil || string(out) != errOver.Error()+"\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestWhoLeavesEndsTheCommand that he gave.
func TestWhoLeavesEndsTheCommand(t *testing.T) {
	r := newRig(t, Limits{})
	c, err := r.dial("ann")
	ok(t, err)
	s, err := c.NewSession()
	ok(t, err)
	ok(t, s.Start("wait"))
	<-r.waits
	ok(t, c.Close())
	<-r.waits
}

// TestLimits: connections, channels, and those who never log in.
func TestLimits(t *testing.T) {
	r := newRig(t, Limits{Connections: 3, Channels: 2})
	var all []*ssh.Client
	for range 3 {
		c, err := r.dial("ann")
		ok(t, err)
		all = append(all, c)
	}
	if _, err := r.dial("ann"); err == nil {
		t.Error("a fourth connection")
	}
	for i := range 3 {
		s, err := all[0].NewSession()
		if (err == nil) != (i < 2) {
			t.Errorf("session %d: %v", i, err)
		}
		if err == nil {
			defer s.Close()
		}
	}
	for _, c := range all {
		ok(t, c.Close())
	}

	r = newRig(t, Limits{Strangers: 4, Login: 50 * time.Millisecond})
	var idle []io.Closer
	for range 4 {
		c, err := netDial(r)
		ok(t, err)
		idle = append(idle, c)
	}
	for { // until they were thrown out
		c, err := r.dial("ann")
		if err == nil {
			ok(t, c.Close())
			break
		}
	}
	for _, c := range idle {
		_ = c.Close()
	}

	r = newRig(t, Limits{Idle: 50 * time.Millisecond})
	c, err := r.dial("ann")
	ok(t, err)
	_ = c.Wait() // it is ended
}

func netDial(r *rig) (net.Conn, error) { return net.Dial("tcp", r.server.Addrs()[0].String()) }
