// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"strings"
	"testing"
)

// linesOf reads a text that comes in chunks of a size to its end.
func linesOf(text string, size int) (all []string) {
	chunks := make(chan []byte, len(text)+1)
	for b := []byte(text); len(b) > 0; {
		n := min(size, len(b))
		chunks <- b[:n]
		b = b[n:]
	}
	close(chunks)
	in := &input{chunks: chunks}
	for {
		l, ok := in.line()
		if !ok {
			return all
		}
		all = append(all, l)
	}
}

// FuzzLines: the lines are the same however the network cuts them, and none is lost.
func FuzzLines(f *testing.F) {
	f.Add("a\r\nb\rc\n\nd", uint8(1))
	f.Add("\r\r\n\n", uint8(2))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		if len(text) > 1<<12 {
			return
		}
		plain := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		want := strings.Split(plain, "\n")
		if want[len(want)-1] == "" { // a line end, and not the beginning of a line
			want = want[:len(want)-1]
		}
		if got := linesOf(text, int(size)+1); strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) != len(want) {
			t.Fatalf("%q in chunks of %d: %q, want %q", text, int(size)+1, got, want)
		}
	})
}

// TestATextThatFollows: a certificate comes as the input of a command, up to its end.
func TestATextThatFollows(t *testing.T) {
	r := newRig(t, Limits{})
	c, err := r.dial("ann")
	ok(t, err)
	defer c.Close()
	s, err := c.NewSession()
	ok(t, err)
	s.Stdin = strings.NewReader("-----BEGIN\nabc\n")
	_, _ = s.CombinedOutput("importcert -f wsapi stdin") // the small array does not know it
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := "ann importcert|-f|wsapi|-----BEGIN\nabc\n"; len(r.ran) != 1 || r.ran[0] != want {
		t.Errorf("%q, want %q", r.ran, want)
	}
}
