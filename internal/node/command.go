// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/table"
)

// command is one entry of the command table.
type command struct {
	name  string
	usage string
	about string
	// forms are its kinds, for those who ask for help with it.
	forms []form
	// right is what it takes to give it, rightOf if that depends on the words. All but
	// Look may change something.
	right   people.Right
	rightOf func(words []string) people.Right
	// secret are options whose value nobody else may see. lines: the words may have several
	// lines.
	secret []string
	lines  bool
	// of returns the group that the words are about if they are to be carried out where
	// it is served; nil if here.
	of func(n *Node, words []string) *running
	// free: runs beside other commands, for it must not wait when arrays are lost.
	free func(words []string) bool
	run  func(n *Node, ctx context.Context, a *args) error
}

// lastGroup is command.of for commands that name a group last.
func lastGroup(n *Node, words []string) *running {
	r, err := n.findGroup(words[len(words)-1])
	if err != nil {
		return nil
	}
	return r
}

// groupOfVolume is command.of for commands that name a volume first.
func groupOfVolume(n *Node, words []string) *running {
	i := slices.IndexFunc(words[1:], func(w string) bool { return !strings.HasPrefix(w, "-") })
	if i < 0 {
		return nil
	}
	_, g, err := n.vv(words[1+i])
	if err != nil || g.Private {
		return nil
	}
	return lastGroup(n, []string{g.Name})
}

// args are a command's words, and where its answer goes.
type args struct {
	n     *Node
	cmd   *command
	by    Caller
	words []string // as they were given
	style table.Style
	flags *flag.FlagSet
	rest  []string
	out   *strings.Builder
	tab   *tabwriter.Writer
	// tell is told how far the command is, nil if nobody wants to know.
	tell func(progress.Step)
	// then is what the command waits for after it is done, while others run. It is a task if
	// it has a kind, of an object.
	then      func(context.Context) error
	kind, obj string
	// begun is where the number of a task that goes on by itself is left.
	begun *uint64
	// made is what the command makes, into a domain (place). touched are the objects with a place
	// of their own in a domain that it names.
	made    mention
	into    string
	touched []mention
	// domains are those that -domain of a command that lists says.
	domains []string
}

// waits makes a task of what the command waits for.
func (a *args) waits(kind, object string, then func(context.Context) error) {
	a.kind, a.obj, a.then = kind, object, then
}

// instead takes back what was printed, which was true at the beginning of a wait that is over.
func (a *args) instead(format string, v ...any) {
	_ = a.tab.Flush()
	a.out.Reset()
	a.printf(format, v...)
}

func (a *args) printf(format string, v ...any) { fmt.Fprintf(a.tab, format, v...) }

// parse sets the flags and wants between low and high other words.
func (a *args) parse(low, high int) error {
	if err := a.flags.Parse(a.rest); err != nil {
		return array.Errorf(array.Invalid, "%s: %s; usage: %s", a.cmd.name, optionError(err), a.cmd.usage)
	}
	a.rest = a.flags.Args()
	if len(a.rest) < low || high >= 0 && len(a.rest) > high {
		return a.miscounted(low, high)
	}
	if err := a.plain(); err != nil {
		return err
	}
	return a.scoped()
}

// elsewhere reports whether the other array serves a group. Of one whose record this array has
// not looked at yet, because it was made a moment ago, nobody knows.
func (n *Node) elsewhere(r *running) bool {
	if r == nil || !n.reachable() {
		return false
	}
	i, err := r.g.Info()
	if err != nil || i.Serving || i.View.Epoch == 0 {
		return false
	}
	switch i.View.Role {
	case arb.Out:
		return true
	case arb.Alone:
		return false
	default:
		return i.Owner != i.Self
	}
}

// runHere carries a command out on this array.
func (n *Node) runHere(ctx context.Context, q Asked) (string, error) {
	c := find(q.Words[0])
	if c == nil {
		return "", array.Errorf(array.Invalid, "unknown command %q: 'help' lists them", q.Words[0])
	}
	return n.audited(q, c, func() (string, error) {
		if err := q.permitted(c); err != nil {
			return "", err
		}
		if replicates(q.Words) {
			if err := n.serviceStarted(ctx); err != nil {
				return "", err
			}
		}
		a := n.newArgs(c, q)
		err := n.runAlone(ctx, c, a)
		if err == nil && a.then != nil {
			err = n.waitFor(ctx, q, a)
		}
		if touched := append(a.touched, a.made); len(touched) > 1 || a.made != (mention{}) {
			err = errors.Join(err, n.forgetPlaces(ctx, touched))
		}
		_ = a.tab.Flush()
		return a.out.String(), n.untoldOf(q, err)
	})
}

func (n *Node) newArgs(c *command, q Asked) *args {
	a := &args{n: n, cmd: c, by: q.By, words: q.Words[1:], style: q.Style, rest: q.Words[1:], out: &strings.Builder{}, tell: q.Tell, begun: q.begun, flags: flag.NewFlagSet(c.name, flag.ContinueOnError)}
	a.flags.SetOutput(io.Discard)
	a.tab = newTab(a.out)
	if c.lists() {
		a.flags.BoolVar(&a.style.NoHdTot, "nohdtot", a.style.NoHdTot, "")
		a.flags.BoolVar(&a.style.CSV, "csvtable", a.style.CSV, "")
	}
	return a
}

func newTab(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 2, ' ', 0) }

// lists reports whether a command prints tables in the style of who asks.
func (c *command) lists() bool {
	return strings.HasPrefix(c.name, "show") || c.name == "statqos" || c.name == "statrcopy"
}

// table prints what a command lists.
func (a *args) table(t *table.Table) { a.out.WriteString(t.String(a.style)) }

// title prints a line above tables.
func (a *args) title(text string) {
	if !a.style.NoHdTot {
		a.out.WriteString(text + "\n")
	}
}

// runAlone runs a command that changes something while no other one does. Nothing that
// runs so may wait for a command of the other array, which may be waiting for this one.
func (n *Node) runAlone(ctx context.Context, c *command, a *args) error {
	if c.right != people.Look && (c.free == nil || !c.free(a.rest)) {
		n.command.Lock()
		defer n.command.Unlock()
		if ctx.Err() != nil {
			return array.Errorf(array.Aborted, "%s: whoever asked for it is gone", c.name)
		}
	}
	if n.shuttingDown.Load() && c.right != people.Look { // also where it waited for its turn until now
		return array.Errorf(array.Unavailable, "array %s is shutting down: give %s to the other array, or when it is there again", n.cfg.Name, c.name)
	}
	return n.carefully(c.name, func() error { return c.run(n, ctx, a) })
}

// carefully runs a command so that a defect in it ends the command and not the daemon, which hosts
// need.
func (n *Node) carefully(name string, run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.log.Error("a command failed in the array", "command", name, "panic", p, "stack", string(debug.Stack()))
			err = array.Errorf(array.Internal, "%s failed in the array %s: %v: its log has where, for a report", name, n.cfg.Name, p)
		}
	}()
	return run()
}

func find(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

func commands() []command {
	return slices.Concat([]command{
		{name: "help", right: people.Look, usage: "help [command]", about: "lists the commands", run: help},
	}, volumeCommands(), setCommands(), qosCommands(), snapshotCommands(), copyCommands(), scheduleCommands(), targetCommands(), farCommands(), linkCommands(), serviceCommands(), groupCommands(), drillCommands(), integrityCommands(), taskCommands(), alertCommands(), showCommands(), userCommands(), certificateCommands(), hostKeyCommands(), domainCommands())
}

func help(_ *Node, _ context.Context, a *args) error {
	if err := a.parse(0, 1); err != nil {
		return err
	}
	return writeHelp(a.tab, a.rest)
}

// Help is what the command help prints, for which no array has to run.
func Help(words []string) (string, error) {
	if len(words) > 1 {
		return "", array.Errorf(array.Invalid, "help: want one command at most, have %d words", len(words))
	}
	var b strings.Builder
	tab := newTab(&b)
	err := errors.Join(writeHelp(tab, words), tab.Flush())
	return b.String(), err
}

func writeHelp(w io.Writer, words []string) error {
	if len(words) > 0 && find(words[0]) == nil {
		return array.Errorf(array.NotFound, "unknown command %q: 'help' lists them", words[0])
	}
	for _, c := range commands() {
		if len(words) == 0 || words[0] == c.name {
			fmt.Fprintf(w, "%s\n    %s\n", c.usage, c.about)
		}
		if len(words) > 0 && words[0] == c.name {
			for _, f := range c.forms {
				fmt.Fprintf(w, "    %s\t%s\n", f.words, f.about)
			}
		}
	}
	return nil
}
