// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/wsapi/remote"
)

// remoteCmd gives commands to an array over HTTPS.
type remoteCmd struct {
	URL          string   `help:"The array's REST interface, https://HOST:PORT." env:"PERDURE_URL"`
	User         string   `help:"Who logs in." env:"PERDURE_USER"`
	PasswordFile string   `help:"File with the password; it is asked for at a terminal without." env:"PERDURE_PASSWORD_FILE" type:"path"`
	KeyFile      string   `help:"File with the key of a session that is there, instead of a user." env:"PERDURE_KEY_FILE" type:"path"`
	Pin          string   `help:"The key that the array must prove, sha256:...; without it a certificate that this machine trusts." env:"PERDURE_PIN"`
	CSVTable     bool     `name:"csvtable" help:"Tables as comma-separated values."`
	NoHdTot      bool     `name:"nohdtot" help:"Tables without headers and totals."`
	Words        []string `arg:"" optional:"" passthrough:"" help:"One command; without it, as many as are given line by line."`
}

// maxSecretFile bounds a file with a password or key.
const maxSecretFile = 4 << 10

// secretIn reads a file that has a secret in its first line.
func secretIn(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); err == nil && line == "" {
		err = array.Errorf(array.Invalid, "the first line of %s is empty: want a password or key", path)
	}
	return line, err
}

func (c *remoteCmd) options() (o remote.Options, err error) {
	if c.URL == "" {
		return o, array.Errorf(array.Invalid, "want the array's REST interface, https://HOST:PORT, with --url or in $PERDURE_URL")
	}
	o = remote.Options{URL: c.URL, User: c.User}
	if c.Pin != "" {
		pin, err := pki.ParsePin(c.Pin)
		if err != nil {
			return o, fmt.Errorf("--pin: %w", err)
		}
		o.Pin = &pin
	}
	in := int(os.Stdin.Fd())
	switch {
	case c.KeyFile != "":
		o.Key, err = secretIn(c.KeyFile)
	case c.User == "":
		err = array.Errorf(array.Invalid, "want --user, or --key-file with the key of a session")
	case c.PasswordFile != "":
		o.Password, err = secretIn(c.PasswordFile)
	case term.IsTerminal(in):
		o.Password, err = secretFrom(in)("Password of " + c.User + ": ")
	default:
		err = array.Errorf(array.Invalid, "want the password of %s with --password-file: there is no terminal to ask for it", c.User)
	}
	return o, err
}

func (c *remoteCmd) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := remote.Open(ctx, o)
	if err != nil {
		return err
	}
	defer client.Close()
	sh := &cli.Shell{Style: table.Style{CSV: c.CSVTable, NoHdTot: c.NoHdTot}, Run: func(ctx context.Context, words []string, style table.Style) (string, error) {
		p := cli.NewProgress(os.Stderr, cli.Width(os.Stderr))
		defer p.End()
		return client.Do(ctx, words, style, p.Tell)
	}}
	if len(c.Words) > 0 {
		words, err := cli.WithText(c.Words, cli.UntilEnd(os.Stdin))
		if err != nil {
			return err
		}
		_, err = giveTo(ctx, sh, words, aPerson())
		return err
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return typed(ctx, sh, strings.TrimPrefix(c.URL, "https://")+" cli% ")
	}
	return piped(ctx, sh, os.Stdin, os.Stderr)
}

// aPerson can be asked if there is a terminal.
func aPerson() cli.Person {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return cli.Person{Secret: func(string) (string, error) {
			return "", array.Errorf(array.Invalid, "a password can't be asked for here: give it with -c")
		}}
	}
	return cli.Person{Secret: secretFrom(in), Line: func(prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		return bufio.NewReader(os.Stdin).ReadString('\n')
	}}
}

// giveTo gives a command and prints its text.
func giveTo(ctx context.Context, sh *cli.Shell, words []string, p cli.Person) (exit bool, err error) {
	text, err := p.Do(words, func(words []string) (text string, err error) {
		text, exit, err = sh.Do(ctx, words)
		return text, err
	})
	fmt.Print(text)
	return exit, err
}

// give gives the commands of a line, and counts those that failed. What is wrong is told, with
// where that is, and is no end.
func give(ctx context.Context, sh *cli.Shell, wrong io.Writer, line, where string, p cli.Person) (exit bool, failed int) {
	commands, err := cli.Split(line)
	if err != nil {
		fmt.Fprintf(wrong, "%s%v\n", where, err)
		failed++
	}
	for _, words := range commands {
		if exit, err = giveTo(ctx, sh, words, p); exit {
			return true, failed
		}
		if err != nil {
			fmt.Fprintf(wrong, "%s%v\n", where, err)
			failed++
		}
	}
	return false, failed
}

// piped takes lines from a script, but for those that begin with # and are its author's. It fails
// if any command did.
func piped(ctx context.Context, sh *cli.Shell, from io.Reader, wrong io.Writer) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, cli.MaxLine)
	failed := 0
	for at := 1; lines.Scan() && ctx.Err() == nil; at++ {
		if strings.HasPrefix(strings.TrimSpace(lines.Text()), "#") {
			continue
		}
		exit, n := give(ctx, sh, wrong, lines.Text(), fmt.Sprintf("line %d: ", at), aPerson())
		if failed += n; exit {
			break
		}
	}
	if failed > 0 {
		if failed == 1 {
			return errors.New("1 command failed")
		}
		return fmt.Errorf("%d commands failed", failed)
	}
	return errors.Join(lines.Err(), ctx.Err())
}

// typed takes lines from a person, who can edit them and take earlier ones again. Only
// while one is typed the terminal is raw, so that a command can be interrupted.
func typed(ctx context.Context, sh *cli.Shell, prompt string) error {
	in := int(os.Stdin.Fd())
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}, prompt)
	for {
		if width, height, err := term.GetSize(in); err == nil && width > 0 && height > 0 {
			_ = t.SetSize(width, height)
		}
		was, err := term.MakeRaw(in)
		if err != nil {
			return fmt.Errorf("use the terminal: %w", err)
		}
		line, err := t.ReadLine()
		_ = term.Restore(in, was)
		if err != nil {
			fmt.Println()
			return nil
		}
		one, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt)
		exit, _ := give(one, sh, os.Stderr, line, "", aPerson())
		stop()
		if exit {
			return nil
		}
	}
}

type completionCmd struct {
	Shell string `arg:"" help:"bash or zsh."`
}

func (c *completionCmd) Run() error {
	text, err := cli.Completion(c.Shell)
	fmt.Print(text)
	return err
}
