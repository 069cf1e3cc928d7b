// SPDX-License-Identifier: Apache-2.0

// Command perdure-model searches the interleavings of a pair exhaustively and
// checks that the search finds out when a rule is missing.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/model"
)

func main() {
	var cli struct {
		States  int `help:"Different worlds to visit; a hundred million take 4 GiB of memory." default:"100000000"`
		Mutants int `help:"Different worlds to visit for each missing rule; 0 leaves them out." default:"6000000"`

		Version kong.VersionFlag `help:"Print the version and exit."`
	}
	kong.Parse(&cli, kong.Description("Searches the interleavings of two arrays and a witness."), kong.Vars{"version": array.Version})
	if !model.Report(os.Stdout, cli.States, cli.Mutants) {
		fmt.Fprintln(os.Stderr, "model: failed")
		os.Exit(1)
	}
}
