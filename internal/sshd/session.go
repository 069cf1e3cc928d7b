// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/table"
)

// session is one channel: a command, or a shell.
type session struct {
	server *Server
	key    string
	ch     ssh.Channel
	idle   *idle
	asked  *asking

	mu            sync.Mutex
	pty           bool
	width, height int
	resized       func(width, height int)
}

// maxSide bounds a terminal's width and height.
const maxSide = 1000

// serve answers the channel's requests until it is closed.
func (x *session) serve(ctx context.Context, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer x.ch.Close()
	begun := false
	for r := range requests {
		ok := false
		switch r.Type {
		case "pty-req":
			ok = !begun && x.terminal(r.Payload)
		case "window-change":
			ok = x.resize(r.Payload)
		case "shell", "exec":
			var what struct{ Command string }
			if begun || r.Type == "exec" && ssh.Unmarshal(r.Payload, &what) != nil {
				break
			}
			begun = true
			x.asked.settled(ctx)
			if r.WantReply { // before the command can have ended
				_ = r.Reply(true, nil)
			}
			wg.Go(func() { x.run(ctx, r.Type, what.Command) })
			continue
		case "signal":
			cancel()
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
	cancel()
}

// run runs a command or a shell, and ends the channel.
func (x *session) run(ctx context.Context, kind, command string) {
	defer x.ch.Close()
	status := 1
	func() { // a defect ends the session and not the daemon, which hosts need
		defer func() {
			if p := recover(); p != nil {
				x.server.cfg.Logger.Error("an SSH session failed in the array", "panic", p, "stack", string(debug.Stack()))
				_, _ = io.WriteString(x.ch.Stderr(), "the session failed in the array: its log has where, for a report\r\n")
			}
		}()
		if kind == "shell" {
			status = x.shell(ctx)
		} else {
			status = x.exec(ctx, command)
		}
	}()
	_, _ = x.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
}

// terminal takes a request for one.
func (x *session) terminal(payload []byte) bool {
	var p struct {
		Term                                   string
		Columns, Rows, PixelWidth, PixelHeight uint32
		Modes                                  string
	}
	if ssh.Unmarshal(payload, &p) != nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pty = true
	x.width, x.height = int(min(p.Columns, maxSide)), int(min(p.Rows, maxSide))
	return true
}

func (x *session) resize(payload []byte) bool {
	var p struct{ Columns, Rows, PixelWidth, PixelHeight uint32 }
	if ssh.Unmarshal(payload, &p) != nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.width, x.height = int(min(p.Columns, maxSide)), int(min(p.Rows, maxSide))
	if x.resized != nil {
		x.resized(x.width, x.height)
	}
	return true
}

func (x *session) newShell() *cli.Shell {
	return &cli.Shell{Run: func(ctx context.Context, words []string, style table.Style) (string, error) {
		by, err := x.server.cfg.Users.Session(x.key, time.Now())
		if err != nil {
			return "", errOver
		}
		defer x.idle.begin()()
		return x.server.cfg.Run(ctx, by, words, style)
	}}
}

// errOver ends a shell: whoever has it may do nothing any more.
var errOver = errors.New("the session is over: log in again")

// exec runs commands without a shell around: their text to the output, what was wrong to
// the error output. The status is that of the last that failed.
func (x *session) exec(ctx context.Context, line string) (status int) {
	commands, err := cli.Split(line)
	if err != nil {
		fmt.Fprintln(x.ch.Stderr(), err)
		return 1
	}
	sh := x.newShell()
	for _, words := range commands {
		var text string
		exit := false
		words, err := cli.WithText(words, cli.UntilEnd(x.ch))
		if err == nil {
			text, exit, err = sh.Do(ctx, words)
		}
		if exit {
			break
		}
		if x.pty {
			text = crlf(text)
		}
		if _, e := io.WriteString(x.ch, text); e != nil {
			return 1
		}
		if err != nil {
			status = 1
			fmt.Fprintln(x.ch.Stderr(), err)
		}
		if ctx.Err() != nil || errors.Is(err, errOver) {
			return 1
		}
	}
	return status
}

// crlf is a text with the line ends of a terminal.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}
