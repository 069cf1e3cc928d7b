// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"sync"
)

// maxOutput is how much of a process's output is kept in memory, from the start;
// the file has all of it.
const maxOutput = 8 << 20

// An output collects what a process writes.
type output struct {
	mu     sync.Mutex
	file   *os.File
	text   []byte
	from   int           // where the next Expect starts
	more   chan struct{} // closed and replaced when text grows or ends
	closed bool
}

func newOutput(path string) (*output, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &output{file: f, more: make(chan struct{})}, nil
}

// Write takes output. A full disk loses the log, not the process.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.file.Write(p)
	o.text = append(o.text, p[:min(len(p), maxOutput-len(o.text))]...)
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	_ = o.file.Close()
	close(o.more)
	o.more = make(chan struct{})
}

// Log returns what the process has written, up to some megabytes.
func (p *Proc) Log() string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return string(p.log.text)
}

// Expect waits for a line that matches, after the one that matched before, and
// returns its submatches.
func (p *Proc) Expect(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	o := p.log
	for {
		o.mu.Lock()
		match, more, closed := o.next(re), o.more, o.closed
		o.mu.Unlock()
		switch {
		case match != nil:
			return match, nil
		case closed:
			return nil, fmt.Errorf("expect %q of %s on %s: it ended\n%s", pattern, p.name, p.node.name, p.tail())
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("expect %q of %s on %s: %w\n%s", pattern, p.name, p.node.name, ctx.Err(), p.tail())
		}
	}
}

// next looks for a match in the whole lines not yet looked at.
func (o *output) next(re *regexp.Regexp) []string {
	for {
		end := bytes.IndexByte(o.text[o.from:], '\n')
		if end < 0 {
			if !o.closed || o.from == len(o.text) {
				return nil
			}
			end = len(o.text) - o.from // a last line without its end
		}
		line := o.text[o.from : o.from+end]
		o.from = min(o.from+end+1, len(o.text))
		if m := re.FindSubmatch(line); m != nil {
			out := make([]string, len(m))
			for i := range m {
				out[i] = string(m[i])
			}
			return out
		}
	}
}

// tail returns the end of the log, for messages.
func (p *Proc) tail() string {
	text := p.Log()
	return text[max(0, len(text)-2000):]
}
