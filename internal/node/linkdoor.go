// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/perdure/perdure/internal/link"
)

// linkDoor is where other arrays come in, all of them at the same addresses: their keys tell
// them apart. It is open while there is somebody to come.
type linkDoor struct {
	server *link.Server

	mu      sync.Mutex
	opened  bool
	stop    context.CancelFunc
	serving sync.WaitGroup
}

// linkSelf is this array as others see it.
func (n *Node) linkSelf() link.Self {
	return link.Self{System: n.cfg.SystemID, Start: n.start, Name: n.cfg.Name}
}

// openLinkDoor lets other arrays in, if they are not let in already.
func (n *Node) openLinkDoor(ctx context.Context) error {
	d := &n.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened {
		return nil
	}
	lns, err := n.listenForLinks()
	if err != nil {
		return err
	}
	ctx, d.stop = context.WithCancel(ctx)
	d.opened = true
	for _, ln := range lns {
		d.serving.Go(func() {
			if err := d.server.Serve(ctx, ln); err != nil && ctx.Err() == nil {
				n.event("links: " + err.Error())
			}
		})
	}
	return nil
}

// closeLinkDoor lets nobody in any more, once nobody is expected.
func (n *Node) closeLinkDoor() {
	if n.rel.Load().ties != nil || len(n.fars()) > 0 {
		return
	}
	n.shutLinkDoor()
}

func (n *Node) shutLinkDoor() {
	d := &n.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.opened {
		return
	}
	d.opened = false
	d.stop()
	d.serving.Wait()
}

func (n *Node) listenForLinks() (lns []net.Listener, err error) {
	key := "[[target.link]] listen"
	if len(n.cfg.Links.Listen) > 0 {
		key = "links.listen"
	}
	var at []string // each once
	for _, p := range n.linkPorts() {
		if slices.Contains(at, p.Listen) {
			continue
		}
		at = append(at, p.Listen)
		ln, err := net.Listen("tcp", p.Listen)
		if err != nil {
			for _, l := range lns {
				_ = l.Close()
			}
			return nil, fmt.Errorf("listen for the other array: %w", ListenFailed(key, err))
		}
		lns = append(lns, ln)
	}
	return lns, nil
}
