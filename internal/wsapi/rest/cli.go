// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/wsapi"
)

// cliPath takes the command line's own words, for those who know it and have no way to the
// array but this one.
const cliPath = "/cli"

// maxWords bounds a command's words.
const maxWords = 4096

func cliRoutes() []route {
	return []route{{
		method: "POST", path: cliPath, right: people.Look, in: commandLine{}, out: wsapi.Response{}, own: true, do: postCommand,
		about: "a command of the command line, as its words; it takes the rights of the command",
	}}
}

// commandLine is a command, and how its tables are printed.
type commandLine struct {
	Words    []string `json:"words"`
	CSVTable bool     `json:"csvtable,omitempty"`
	NoHdTot  bool     `json:"nohdtot,omitempty"`
}

// postCommand carries a command out, however long it takes: whoever asked may leave, which
// ends it. What is wrong with it is in the answer, as on the array's socket.
func postCommand(c *call) (answer, error) {
	var in commandLine
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	switch {
	case len(in.Words) == 0:
		return answer{}, fail(wsapi.Missing, "words", "words are missing: want a command")
	case len(in.Words) > maxWords:
		return answer{}, fail(wsapi.AboveRange, "words", "there are %d words: want at most %d", len(in.Words), maxWords)
	case !c.s.commands.take(c.r.Context(), waitWithin):
		return answer{}, array.Errorf(array.Busy, "there are %d commands under way over REST, the most there may be: try again", maxCommands)
	}
	defer c.s.commands.give()
	out := &wsapi.Answers{W: c.w}
	q := node.Asked{By: node.CallerOf(c.who, "https"), Words: in.Words, Style: table.Style{CSV: in.CSVTable, NoHdTot: in.NoHdTot}}
	if c.r.Header.Get("Accept") == wsapi.StreamType {
		q.Tell = func(p progress.Step) {
			_, _ = c.s.cfg.People.Session(c.r.Header.Get(sessionHeader), time.Now()) // it is in use
			out.Send(http.StatusOK, wsapi.Response{Progress: &p})
		}
	}
	text, err := c.array().Do(c.r.Context(), q)
	if err != nil {
		out.Send(http.StatusOK, wsapi.Response{Text: text, Error: err.Error(), Kind: array.KindOf(err).String(), Reason: array.ReasonOf(err)})
	} else {
		out.Send(http.StatusOK, wsapi.Response{Text: text})
	}
	return answer{streamed: true}, nil
}
