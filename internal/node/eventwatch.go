// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/perdure/perdure/internal/event"

// WatchEvents returns a channel that gets something when there are new events, until stop
// is called.
func (n *Node) WatchEvents() (news <-chan struct{}, stop func()) { return n.events.Watch() }

// EventsAfter returns the newest events with a larger number, oldest first.
func (n *Node) EventsAfter(id uint64) []event.Numbered { return n.events.After(id) }
