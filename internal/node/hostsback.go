// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/iscsi"
)

// Arrays are upgraded one after the other. When the second one leaves, hosts may not have found
// their paths to the first one again, and would wait, though nothing failed. So an array that
// leaves gives way only when those that the other one had before its own leave are back there, and
// those whose paths to it were refused while it was left out have looked at them again.

// hostsBack are the initiators that the other array had when it left.
type hostsBack struct {
	mu   sync.Mutex
	from []string
}

const (
	// hostsBackWithin is how long an orderly shutdown waits for hosts: a login again takes
	// some seconds, and so does it until a path checker looks, every ten seconds in some hosts.
	hostsBackWithin = 12 * time.Second
	// hostsBackSettle is how long a host may take from what its path checker was answered to
	// the use of the path: multipathd reads answers at its next tick, a second later.
	hostsBackSettle = 1500 * time.Millisecond
	// maxToldOf bounds those that are told of.
	maxToldOf = 4096
)

func (b *hostsBack) expect(initiators []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = initiators[:min(len(initiators), maxToldOf)]
}

func (b *hostsBack) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.from
	b.from = nil
	return l
}

// initiators are those of some of the sessions here, each once.
func (n *Node) initiators(which func(iscsi.SessionInfo) bool) (all []string) {
	for _, s := range n.target.Sessions() {
		if !s.Discovery && which(s) && !slices.Contains(all, s.Initiator) && len(all) < maxToldOf {
			all = append(all, s.Initiator)
		}
	}
	return all
}

func anyOf(iscsi.SessionInfo) bool     { return true }
func working(s iscsi.SessionInfo) bool { return s.Works }

// awaitHosts waits until the hosts that are here, and that the other array had before it left or
// has, have a path to it that works.
func (n *Node) awaitHosts() {
	here := n.initiators(anyOf)
	lack := slices.DeleteFunc(n.hostsBack.take(), func(i string) bool { return !slices.Contains(here, i) })
	if r, err := n.answered(context.Background(), time.Second, request{Working: true}); err == nil {
		use := n.initiators(working) // others wait for nothing
		for _, i := range r.Idle {
			if slices.Contains(use, i) && !slices.Contains(lack, i) {
				lack = append(lack, i)
			}
		}
	}
	if len(lack) == 0 {
		return
	}
	looks := 0
	err := await(context.Background(), hostsBackWithin, func() (bool, error) {
		looks++
		r, err := n.answered(context.Background(), time.Second, request{Working: true})
		if err != nil {
			return false, err
		}
		lack = slices.DeleteFunc(lack, func(i string) bool { return slices.Contains(r.Initiators, i) })
		return len(lack) == 0, nil
	}, array.Errorf(array.Busy, "hosts have not found their paths to array %s again, and may wait", n.to().Name))
	if err != nil {
		n.event(fmt.Sprintf("array %s leaves although %v: %s", n.cfg.Name, err, strings.Join(lack[:min(len(lack), 8)], ", ")))
		return
	}
	if looks > 1 { // else they have been back for a while
		time.Sleep(hostsBackSettle)
	}
}
