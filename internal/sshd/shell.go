// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/cli"
)

// shell is what a person or a script talks to line by line.
type shell struct {
	*session
	cli    *cli.Shell
	prompt string
	in     *input
	status int
}

func (x *session) shell(ctx context.Context) int {
	s := &shell{session: x, cli: x.newShell(), prompt: x.server.cfg.Name + " cli% ", in: newInput(ctx, x.ch, x.idle)}
	s.in.ahead(x.pty, x.server.limits)
	ahead := s.in.lines()
	for _, l := range ahead {
		s.write(l + "\n")
	}
	for _, l := range ahead {
		s.write(s.prompt + l + "\n")
		if !s.line(ctx, l, nobody()) {
			return s.status
		}
	}
	if x.pty {
		s.typed(ctx)
	} else {
		s.piped(ctx)
	}
	return s.status
}

func (s *shell) write(text string) { _, _ = io.WriteString(s.ch, crlf(text)) }

// noAsking is how one is asked who has no terminal, or typed ahead.
func noAsking(string) (string, error) {
	return "", array.Errorf(array.Invalid, "a password can't be asked for here: give it with -c")
}

// nobody can be asked: it is a script.
func nobody() cli.Person { return cli.Person{Secret: noAsking} }

// asks shows a question as the prompt, and returns what was typed.
func (s *shell) asks(t *term.Terminal) func(string) (string, error) {
	return func(question string) (string, error) {
		first, last, ok := strings.Cut(question, "\n")
		if ok {
			s.write(first + "\n")
			question = last
		}
		t.SetPrompt(question)
		defer t.SetPrompt(s.prompt)
		return t.ReadLine()
	}
}

// line runs the commands of a line, and reports whether there may be more.
func (s *shell) line(ctx context.Context, line string, p cli.Person) bool {
	commands, err := cli.Split(line)
	if err != nil {
		s.write(err.Error() + "\n")
		s.status = 1
	}
	for _, words := range commands {
		text, exit := "", false
		words, err := cli.WithText(words, p.Text())
		if err == nil {
			text, err = p.Do(words, func(words []string) (text string, err error) {
				text, exit, err = s.cli.Do(ctx, words)
				return text, err
			})
		}
		if exit {
			return false
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if s.status = 0; err != nil {
			s.status = 1
			text += err.Error() + "\n"
		}
		s.write(text)
		if errors.Is(err, errOver) {
			return false
		}
	}
	return ctx.Err() == nil
}

// piped reads lines from a script, and shows each as a terminal would.
func (s *shell) piped(ctx context.Context) {
	for {
		s.write(s.prompt)
		l, ok := s.in.line()
		if !ok {
			s.write("\n")
			return
		}
		s.write(l + "\n")
		if !s.line(ctx, l, nobody()) {
			return
		}
	}
}

// typed reads lines from a person, who can edit them.
func (s *shell) typed(ctx context.Context) {
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{s.in, s.ch}, s.prompt)
	s.mu.Lock()
	size := func(width, height int) {
		if width > 0 && height > 0 {
			_ = t.SetSize(width, height)
		}
	}
	size(s.width, s.height)
	s.resized = size
	s.mu.Unlock()
	for {
		l, err := t.ReadLine()
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			s.write("\n")
			return
		}
		if len(l) > cli.MaxLine || !s.line(ctx, l, cli.Person{Secret: t.ReadPassword, Line: s.asks(t)}) {
			return
		}
	}
}

// input is what comes from the client.
type input struct {
	chunks <-chan []byte // closed at the end
	buf    []byte
	ended  bool
	// afterCR: the last line ended with CR, and LF may follow.
	afterCR bool
}

// newInput begins to read. What waits to be used is bounded by the channel's window.
func newInput(ctx context.Context, r io.Reader, i *idle) *input {
	chunks := make(chan []byte)
	go func() { // ends with the channel that it reads from, or with ctx
		defer close(chunks)
		for {
			b := make([]byte, 4096)
			n, err := r.Read(b)
			i.touch()
			if n > 0 {
				select {
				case chunks <- b[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return &input{chunks: chunks}
}

func (in *input) take(b []byte, ok bool) {
	if in.afterCR && len(b) > 0 {
		b = bytes.TrimPrefix(b, []byte("\n"))
		in.afterCR = false
	}
	in.buf = append(in.buf, b...)
	in.ended = !ok
}

// ahead gathers what was sent before the first prompt: until the end, a line that says
// exit, or until nothing more comes. Without a terminal somebody will send something, and
// is waited for.
func (in *input) ahead(pty bool, l Limits) {
	var first <-chan time.Time
	if pty {
		first = time.After(l.Ahead)
	}
	select {
	case b, ok := <-in.chunks:
		in.take(b, ok)
	case <-first:
		return
	}
	for !in.ended && len(in.buf) < cli.MaxLine && !in.saysExit() {
		select {
		case b, ok := <-in.chunks:
			in.take(b, ok)
		case <-time.After(l.Quiet):
			return
		}
	}
}

func (in *input) saysExit() bool {
	for l := range strings.Lines(string(in.buf)) {
		if w := strings.TrimSpace(l); strings.HasSuffix(l, "\n") && (w == "exit" || w == "quit") {
			return true
		}
	}
	return false
}

// lines returns the whole lines that have come; at the end of the input, what comes after
// the last line end too.
func (in *input) lines() (all []string) {
	for {
		l, ok := in.next()
		if !ok {
			return all
		}
		all = append(all, l)
	}
}

// next takes a line that has come. A line ends with LF, CR or CR LF.
func (in *input) next() (string, bool) {
	i := bytes.IndexAny(in.buf, "\r\n")
	if i < 0 {
		if !in.ended || len(in.buf) == 0 {
			return "", false
		}
		i = len(in.buf)
	}
	l := string(in.buf[:i])
	rest := in.buf[min(i+1, len(in.buf)):]
	if i < len(in.buf) && in.buf[i] == '\r' {
		in.afterCR = len(rest) == 0
		rest = bytes.TrimPrefix(rest, []byte("\n"))
	}
	in.buf = rest
	return l, true
}

// line waits for a line.
func (in *input) line() (string, bool) {
	for {
		if l, ok := in.next(); ok {
			return l, true
		}
		if in.ended || len(in.buf) > cli.MaxLine {
			return "", false
		}
		b, ok := <-in.chunks
		in.take(b, ok)
	}
}

// Read returns what has come.
func (in *input) Read(p []byte) (int, error) {
	if len(in.buf) == 0 && !in.ended {
		b, ok := <-in.chunks
		in.take(b, ok)
	}
	if len(in.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, in.buf)
	in.buf = in.buf[n:]
	return n, nil
}
