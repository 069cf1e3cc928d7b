// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/boottime"
)

// tooStill is how long the whole machine may stand still while a row is played. A virtual
// machine that its host stops for seconds makes every command late, whoever serves it.
const tooStill = 100 * time.Millisecond

// late says that a row was as it should be, but for how long a command took.
type late struct{ took, allowed time.Duration }

func (l late) Error() string {
	return fmt.Sprintf("a command took %v, at most %v are allowed", l.took.Round(time.Millisecond), l.allowed)
}

// onlyLate reports whether nothing else was wrong.
func onlyLate(err error) bool {
	switch e := err.(type) {
	case late:
		return true
	case interface{ Unwrap() []error }:
		all := e.Unwrap()
		return len(all) == 1 && onlyLate(all[0])
	}
	return false
}

func TestOnlyLate(t *testing.T) {
	other := errors.New("a write was lost")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{other, false},
		{late{}, true},
		{errors.Join(late{}, nil), true},
		{errors.Join(errors.Join(late{}), nil), true},
		{errors.Join(late{}, other), false},
		{fmt.Errorf("in sync again, but %w", late{}), false},
	} {
		if onlyLate(c.err) != c.want {
			t.Errorf("%v", c.err)
		}
	}
}

// still watches for how long at most this process, which has next to nothing to do, got no
// processor.
type still struct {
	stop    chan struct{}
	longest chan time.Duration
}

func watchStill() *still {
	s := &still{stop: make(chan struct{}), longest: make(chan time.Duration, 1)}
	go func() {
		const every = 5 * time.Millisecond
		t := time.NewTicker(every)
		defer t.Stop()
		longest, last := time.Duration(0), boottime.Now()
		for {
			select {
			case <-s.stop:
				s.longest <- longest
				return
			case <-t.C:
			}
			now := boottime.Now()
			longest, last = max(longest, now.Sub(last)-every), now
		}
	}()
	return s
}

// end returns how long it was.
func (s *still) end() time.Duration {
	close(s.stop)
	return <-s.longest
}
