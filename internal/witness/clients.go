// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/pki"
)

// MaxClients limits the clients of one witness.
const MaxClients = 256

// A ClientKey is an array that the witness serves.
type ClientKey struct {
	Name string
	Key  pki.Pin
}

// clients knows who is served and when each was last heard.
type clients struct {
	mu      sync.Mutex
	byKey   map[pki.Pin]*Contact
	refused uint64
	last    *Contact
}

// set replaces the list. Contacts of those who stay are kept.
func (c *clients) set(list []ClientKey) error {
	if len(list) > MaxClients {
		return fmt.Errorf("set clients: %d, at most %d are served", len(list), MaxClients)
	}
	next := make(map[pki.Pin]*Contact, len(list))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range list {
		if k.Key.IsZero() || k.Name == "" {
			return fmt.Errorf("set clients: %q: a client has a name and a key", k.Name)
		}
		if other := next[k.Key]; other != nil {
			return fmt.Errorf("set clients: %q and %q have the same key %v", other.Name, k.Name, k.Key)
		}
		next[k.Key] = &Contact{Name: k.Name, Key: k.Key}
		if old := c.byKey[k.Key]; old != nil {
			next[k.Key].Last = old.Last
		}
	}
	c.byKey = next
	return nil
}

func (c *clients) known(p pki.Pin) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byKey[p] != nil
}

// heard notes a request and reports whether its sender is served.
func (c *clients) heard(p pki.Pin, from string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.byKey[p]; k != nil {
		k.Last = now
		return true
	}
	c.refused++
	c.last = &Contact{Name: from, Key: p, Last: now}
	return false
}

// fill adds what is known about clients to a status.
func (c *clients) fill(s *Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.byKey {
		s.Clients = append(s.Clients, *k)
	}
	slices.SortFunc(s.Clients, func(a, b Contact) int { return strings.Compare(a.Name, b.Name) })
	s.Refused = c.refused
	if c.last != nil {
		last := *c.last
		s.LastRefused = &last
	}
}
