// SPDX-License-Identifier: Apache-2.0

// Command perdure is the administrators' command line.
//
//	perdure init --dir DIR           keys and configuration for a pair and its witness
//	perdure hosts recipe linux       settings of hosts: linux, windows, vmware, proxmox
//	perdure --array SOCKET showrcopy any command of the array
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/demo"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

type options struct {
	Array string `help:"Socket of the array that takes the command." env:"PERDURE_ARRAY" default:"/var/lib/perdure/perdured.sock"`

	Init       initCmd       `cmd:"" help:"Make keys and configuration for two arrays and a witness."`
	InitArray  initArrayCmd  `cmd:"" help:"Make a key and configuration for one array that is told of others by command, such as a third one."`
	Demo       demoCmd       `cmd:"" help:"Show a pair on this machine: a switchover, a killed array, a cut link; no root needed."`
	Hosts      hostsCmd      `cmd:"" help:"What hosts need to be told."`
	CLI        remoteCmd     `cmd:"" name:"cli" help:"Give commands to an array over HTTPS: one, or line by line."`
	Completion completionCmd `cmd:"" help:"Print a completion script for bash or zsh."`
	Run        arrayCmd      `cmd:"" default:"withargs" passthrough:"" help:"Run a command of the array; 'perdure help' lists them."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// brief is what who says nothing hears.
const brief = `perdure: the command line of a pair of Perdure arrays

  perdure status                  the pair, and who serves which group
  perdure help [COMMAND]          the commands of an array
  perdure cli --url https://ARRAY commands over HTTPS, as a user
  perdure completion bash         completes commands in bash, or zsh
  perdure init --dir DIR          keys and configuration for two arrays and a witness
  perdure init-array NAME         the same for one array, such as a third one
  perdure demo                    a pair on this machine, and what it survives
  perdure hosts recipe linux      settings of hosts: linux, windows, vmware or proxmox

The array's socket is named by --array or $PERDURE_ARRAY. 'perdure --help' has all options.
`

type initCmd struct {
	Dir     string   `help:"Folder to create the three parts in." default:"."`
	ISCSIA  string   `name:"iscsi-a" help:"iSCSI portal of array-a." default:"127.0.0.1:3260"`
	ISCSIB  string   `name:"iscsi-b" help:"iSCSI portal of array-b." default:"127.0.0.2:3260"`
	LinkA   []string `help:"Link addresses of array-a." default:"127.0.0.1:5785"`
	LinkB   []string `help:"Link addresses of array-b, as many." default:"127.0.0.2:5785"`
	SSHA    string   `name:"ssh-a" help:"Address of array-a for the command line over SSH; none by default."`
	SSHB    string   `name:"ssh-b" help:"The same of array-b."`
	RESTA   string   `name:"rest-a" help:"Address of array-a for REST and 'perdure cli', such as 192.0.2.1:8080; none by default."`
	RESTB   string   `name:"rest-b" help:"The same of array-b."`
	Witness string   `help:"Address of the witness." default:"127.0.0.3:8843"`

	ByCommand bool `help:"Leave it to creatercopytarget and setrcopytarget witness to make them a pair."`
}

func (c *initCmd) Run() error {
	err := cli.Init(cli.Plan{
		Dir: c.Dir, ISCSI: [2]string{c.ISCSIA, c.ISCSIB}, Links: [2][]string{c.LinkA, c.LinkB}, Witness: c.Witness, SSH: [2]string{c.SSHA, c.SSHB}, REST: [2]string{c.RESTA, c.RESTB}, ByCommand: c.ByCommand,
	})
	if err == nil {
		fmt.Printf("made array-a, array-b and witness in %s\n", c.Dir)
	}
	return err
}

type initArrayCmd struct {
	Name   string   `arg:"" help:"Name of the array, such as array-c."`
	Dir    string   `help:"Folder to create its own in." default:"."`
	System uint32   `name:"system-id" help:"Its number, which no other array has." default:"3"`
	ISCSI  string   `name:"iscsi" help:"Its iSCSI portal." default:"127.0.0.4:3260"`
	Link   []string `help:"Addresses at which other arrays find it." default:"127.0.0.4:5785"`
	SSH    string   `name:"ssh" help:"Address for the command line over SSH; none by default."`
	REST   string   `name:"rest" help:"Address for REST and 'perdure cli'; none by default."`
}

func (c *initArrayCmd) Run() error {
	key, err := cli.InitArray(cli.Single{Dir: c.Dir, Name: c.Name, System: array.SystemID(c.System), ISCSI: c.ISCSI, Links: c.Link, SSH: c.SSH, REST: c.REST})
	if err == nil {
		fmt.Printf("made %s in %s; its key is %s\n", c.Name, c.Dir, key)
	}
	return err
}

type hostsCmd struct {
	Recipe recipeCmd `cmd:"" help:"Print the settings of a kind of host with which it fails over as fast as is safe."`
}

type recipeCmd struct {
	Host string `arg:"" help:"linux, windows, vmware or proxmox."`
}

func (c *recipeCmd) Run() error {
	text, err := cli.Recipe(c.Host)
	fmt.Print(text)
	return err
}

type arrayCmd struct {
	Words []string `arg:"" optional:"" help:"The command and its words."`
}

func (c *arrayCmd) Run(o *options) error {
	if len(c.Words) == 0 {
		fmt.Print(brief)
		return nil
	}
	if c.Words[0] == "help" {
		text, err := node.Help(c.Words[1:])
		fmt.Print(text)
		return err
	}
	var err error
	if c.Words, err = cli.WithText(c.Words, cli.UntilEnd(os.Stdin)); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := func(words []string) (string, error) {
		p := cli.NewProgress(os.Stderr, cli.Width(os.Stderr))
		defer p.End()
		return wsapi.DoTelling(ctx, o.Array, words, p.Tell)
	}
	var text string
	if term.IsTerminal(int(os.Stdin.Fd())) {
		text, err = aPerson().Do(c.Words, do)
	} else {
		text, err = do(c.Words)
	}
	fmt.Print(text)
	return err
}

// secretFrom asks for what nobody shall see.
func secretFrom(in int) func(prompt string) (string, error) {
	return func(prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		b, err := term.ReadPassword(in)
		fmt.Fprintln(os.Stderr)
		return string(b), err
	}
}

type demoCmd struct {
	Bin string `help:"Folder of perdured and perdure-witness." default:"bin" type:"path"`
	Dir string `help:"Folder for data and logs; a temporary one by default."`
}

func (c *demoCmd) Run() error {
	dir := c.Dir
	if dir == "" {
		d, err := os.MkdirTemp("", "perdure-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(d)
		dir = d
	}
	st, err := os.Stdout.Stat()
	terminal := err == nil && st.Mode()&os.ModeCharDevice != 0
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return demo.Run(ctx, demo.Options{Bin: c.Bin, Dir: dir, Out: os.Stdout, Color: terminal})
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "demo" {
		os.Exit(lab.Main(run)) // without root, in namespaces of its own
	}
	os.Exit(run())
}

func run() int {
	var o options
	k := kong.Parse(&o, kong.Name("perdure"), kong.Description("Perdure's command line."), kong.Vars{"version": array.Version})
	if err := k.Run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "perdure:", err)
		return 1
	}
	return 0
}
