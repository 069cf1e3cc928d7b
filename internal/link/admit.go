// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"net"
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// Links come and go while the relation lives: what is under way on one that is dismissed
// is sent again over the others, as after a break.

// checkLink finds what is wrong with one link.
func (c *Config) checkLink(l LinkConfig) error {
	if l.Name == "" || len(l.Name) > maxName {
		return array.Errorf(array.Invalid, "link %q: links have different names of 1 to %d bytes", l.Name, maxName)
	}
	if _, _, err := net.SplitHostPort(l.Remote); err != nil && c.connects() {
		return array.Errorf(array.Invalid, "link %s: remote address %q: want host:port", l.Name, l.Remote)
	}
	return nil
}

func (p *Peer) newLink(c LinkConfig) *linkState {
	l := &linkState{cfg: c}
	l.ctx, l.cancel = context.WithCancel(p.ctx)
	return l
}

// useLink begins to connect over a link, if that is this side's part. Callers hold mu.
func (p *Peer) useLink(l *linkState) {
	if !p.cfg.connects() || !p.running || p.closed {
		return
	}
	for slot := range p.cfg.Data + 1 {
		p.wg.Go(func() { p.keepConnected(l, slot) })
	}
}

// Links returns the names of the links that there are now.
func (p *Peer) Links() []string {
	links := *p.links.Load()
	names := make([]string, len(links))
	for i, l := range links {
		names[i] = l.cfg.Name
	}
	return names
}

// Admit adds a link. The other side has to have one of that name too.
func (p *Peer) Admit(c LinkConfig) error {
	if err := p.cfg.checkLink(c); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	links := *p.links.Load()
	switch {
	case p.closed:
		return ErrClosed
	case len(links) >= maxLinks:
		return array.Errorf(array.Full, "there are %d links, the most there may be", len(links))
	case p.linkNamed(c.Name) != nil:
		return array.Errorf(array.Exists, "link %s exists already", c.Name)
	}
	l := p.newLink(c)
	links = append(slices.Clone(links), l)
	p.links.Store(&links)
	p.useLink(l)
	return nil
}

// Dismiss ends a link and its connections. One is left: without any there is no relation.
func (p *Peer) Dismiss(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := *p.links.Load()
	l := p.linkNamed(name)
	switch {
	case l == nil:
		return array.Errorf(array.NotFound, "link %s does not exist", name)
	case len(links) == 1:
		return array.Errorf(array.Conflict, "link %s is the only one", name)
	}
	links = slices.DeleteFunc(slices.Clone(links), func(o *linkState) bool { return o == l })
	p.links.Store(&links)
	l.cancel()
	for _, c := range p.slots {
		if c.link == l {
			c.close(ErrClosed)
		}
	}
	return nil
}
