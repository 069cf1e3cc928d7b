// SPDX-License-Identifier: Apache-2.0

// Perdure-witness is the daemon at the third site: it keeps the registers in
// which two arrays record who may serve, and decides nothing itself.
//
//	perdure-witness init --config witness.toml   # key, state and a commented configuration
//	perdure-witness run --config witness.toml    # SIGHUP reads the arrays anew, without a new incarnation
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/perdure/perdure/internal/array"
)

const defaultConfig = "/etc/perdure/witness.toml"

type cli struct {
	Init  initCmd  `cmd:"" help:"Create the witness's key and a configuration to fill in."`
	Run   runCmd   `cmd:"" help:"Serve until SIGTERM or SIGINT; SIGHUP reads the list of arrays anew."`
	Check checkCmd `cmd:"" help:"Read the configuration and say what is wrong with it."`
	Key   keyCmd   `cmd:"" help:"Print the fingerprint of the witness's key, for the arrays' configuration."`
	Renew renewCmd `cmd:"" help:"Replace the certificate by a new one for the same key; takes effect at the next start."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// A session is what the commands need of the world.
type session struct {
	ctx    context.Context
	out    io.Writer
	errOut io.Writer
}

func main() { os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs one command line and returns the exit code: 0 done, 1 failed, 2
// not understood.
func execute(ctx context.Context, args []string, out, errOut io.Writer) int {
	code := -1
	parser, err := kong.New(&cli{}, kong.Name("perdure-witness"), kong.Writers(out, errOut),
		kong.Description("The quorum witness of a pair of Perdure arrays."),
		kong.Vars{"version": array.Version, "config": defaultConfig},
		kong.Exit(func(c int) { code = c }))
	if err != nil {
		fmt.Fprintln(errOut, "perdure-witness:", err)
		return 1
	}
	k, err := parser.Parse(args)
	if code >= 0 { // --help or --version
		return code
	}
	if err != nil {
		fmt.Fprintf(errOut, "perdure-witness: %v\nTry perdure-witness --help.\n", err)
		return 2
	}
	if err := k.Run(&session{ctx: ctx, out: out, errOut: errOut}); err != nil {
		fmt.Fprintln(errOut, "perdure-witness:", err)
		return 1
	}
	return 0
}
