// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/store"
)

// Severity is how much an event matters, in the incumbent's words.
type Severity string

// The severities.
const (
	Informational Severity = "Informational"
	Minor         Severity = "Minor"
	Major         Severity = "Major"
)

// Severities returns them, the least first.
func Severities() []Severity { return []Severity{Informational, Minor, Major} }

// Event is something people should know.
type Event struct {
	At       time.Time `json:"at"`
	Severity Severity  `json:"severity"`
	Text     string    `json:"text"`
	// Domain is that of all that it names, empty for none.
	Domain string `json:"domain,omitempty"`
	// Alert is the alert that begins or ends, as Mark says; 0 if it is about none.
	Alert AlertID `json:"alert,omitzero"`
	Mark  Mark    `json:"mark,omitzero"`
}

// AlertID is the number of an alert, which no other one of its array ever has.
type AlertID uint64

// Mark is what an event says of an alert.
type Mark string

// The marks.
const (
	Began Mark = "began"
	Ended Mark = "ended"
)

const (
	// MostEvents and MostActs are how many entries are kept.
	MostEvents = 2048
	MostActs   = 4096
	// maxText bounds one text, in bytes.
	maxText = 2 << 10
)

// Log has the newest events.
type Log struct {
	store  *store.Store
	bucket store.Bucket[Event]
	most   int
	failed func(error)

	mu      sync.Mutex
	idle    *sync.Cond // nobody writes
	writing bool
	closed  bool
	next    uint64  // number of the next event
	stored  uint64  // all below are in the store
	newest  []Event // the last of them is next-1
	// watchers hear that there is something new.
	watchers map[chan struct{}]bool
	// domain finds out what domain a text is about.
	domain func(text string) string
}

// Ask lets the log ask in which domain is what an event names. It is called before the first.
func (l *Log) Ask(domain func(text string) string) { l.domain = domain }

// domainOf asks it.
func (l *Log) domainOf(text string) string {
	if l.domain == nil {
		return ""
	}
	return l.domain(text)
}

// Open reads the events there are. failed is told when one can't be stored.
func Open(s *store.Store, most int, failed func(error)) (*Log, error) {
	l := &Log{store: s, bucket: store.Bucket[Event]{Name: "events"}, most: most, failed: failed}
	l.idle = sync.NewCond(&l.mu)
	err := s.View(func(t *store.Tx) error {
		return l.bucket.Each(t, func(key string, e Event) error {
			l.newest = append(l.newest, e)
			l.next = number(key) + 1
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	l.stored = l.next
	l.trim()
	return l, nil
}

// number is what store.Key made a key of.
func number(key string) (n uint64) {
	for i := range len(key) {
		n = n<<8 | uint64(key[i])
	}
	return n
}

// trim drops the oldest of too many. The lock is held.
func (l *Log) trim() {
	if over := len(l.newest) - l.most; over > 0 {
		l.newest = slices.Delete(l.newest, 0, over)
	}
}

// Add tells of an event. It does not wait until that is stored.
func (l *Log) Add(e Event) {
	e.Text, e.Domain = cut(e.Text, maxText), l.domainOf(e.Text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = append(l.newest, e)
	l.next++
	l.trim()
	l.tell()
	if !l.writing && !l.closed {
		l.writing = true
		go l.write() // ends when all is stored
	}
}

// write stores what is not stored yet, until that is all, or fails.
func (l *Log) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.stored < l.next {
		first := max(l.stored, l.next-uint64(len(l.newest)))
		batch := slices.Clone(l.newest[uint64(len(l.newest))-(l.next-first):])
		l.mu.Unlock()
		err := l.put(first, batch)
		l.mu.Lock()
		if err != nil {
			l.failed(fmt.Errorf("store %d events: %w", len(batch), err))
			break
		}
		l.stored = first + uint64(len(batch))
	}
	l.writing = false
	l.idle.Broadcast()
}

func (l *Log) put(first uint64, batch []Event) error {
	return l.store.Update(func(t *store.Tx) error {
		for i, e := range batch {
			if err := l.bucket.Put(t, store.Key(first+uint64(i)), e); err != nil {
				return err
			}
		}
		return dropOld(t, l.bucket, first+uint64(len(batch)), l.most)
	})
}

// dropOld removes all of a bucket but the newest below next.
func dropOld[V any](t *store.Tx, b store.Bucket[V], next uint64, most int) error {
	if next <= uint64(most) {
		return nil
	}
	var old []string
	err := b.EachKey(t, func(key string) bool {
		if number(key) >= next-uint64(most) {
			return false
		}
		old = append(old, key)
		return true
	})
	if err != nil {
		return err
	}
	for _, k := range old {
		if err := b.Delete(t, k); err != nil {
			return err
		}
	}
	return nil
}

// Newest returns the events there are, the oldest first.
func (l *Log) Newest() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.newest)
}

// Close stores what is not stored yet.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writing {
		l.idle.Wait()
	}
	l.closed = true
	if l.stored < l.next {
		l.writing = true
		l.mu.Unlock()
		l.write()
		l.mu.Lock()
	}
}
