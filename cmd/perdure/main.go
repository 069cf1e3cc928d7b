// SPDX-License-Identifier: Apache-2.0

// Command perdure is the administrators' command line.
//
//	perdure init --dir DIR           keys and configuration for a pair and its witness
//	perdure --array SOCKET showrcopy any command of the array
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/wsapi"
)

type options struct {
	Array string `help:"Socket of the array that takes the command." env:"PERDURE_ARRAY" default:"/var/lib/perdure/perdured.sock"`

	Init initCmd  `cmd:"" help:"Make keys and configuration for two arrays and a witness."`
	Run  arrayCmd `cmd:"" default:"withargs" passthrough:"" help:"Run a command of the array; 'perdure help' lists them."`
}

type initCmd struct {
	Dir     string   `help:"Folder to create the three parts in." default:"."`
	ISCSIA  string   `name:"iscsi-a" help:"iSCSI portal of array-a." default:"127.0.0.1:3260"`
	ISCSIB  string   `name:"iscsi-b" help:"iSCSI portal of array-b." default:"127.0.0.2:3260"`
	LinkA   []string `help:"Link addresses of array-a." default:"127.0.0.1:5785"`
	LinkB   []string `help:"Link addresses of array-b, as many." default:"127.0.0.2:5785"`
	Witness string   `help:"Address of the witness." default:"127.0.0.3:8843"`
}

func (c *initCmd) Run() error {
	err := cli.Init(cli.Plan{
		Dir: c.Dir, ISCSI: [2]string{c.ISCSIA, c.ISCSIB}, Links: [2][]string{c.LinkA, c.LinkB}, Witness: c.Witness,
	})
	if err == nil {
		fmt.Printf("made array-a, array-b and witness in %s\n", c.Dir)
	}
	return err
}

type arrayCmd struct {
	Words []string `arg:"" optional:"" help:"The command and its words."`
}

func (c *arrayCmd) Run(o *options) error {
	text, err := wsapi.Do(context.Background(), o.Array, c.Words)
	fmt.Print(text)
	return err
}

func main() {
	var o options
	k := kong.Parse(&o, kong.Name("perdure"), kong.Description("Perdure's command line."))
	if err := k.Run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "perdure:", err)
		os.Exit(1)
	}
}
