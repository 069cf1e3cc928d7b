// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perdure/perdure/internal/store"
)

// Act is a command that may have changed something: who gave it, with which role, from
// where and over what, and how it ended.
type Act struct {
	At    time.Time `json:"at"`
	User  string    `json:"user"`
	Role  string    `json:"role"`
	From  string    `json:"from"`
	Over  string    `json:"over"`
	Words string    `json:"words"`
	// Result is Begun, Done, or why it failed. Ended is when.
	Result string    `json:"result"`
	Ended  time.Time `json:"ended,omitzero"`
}

// The results that are no failures.
const (
	Begun = "begun"
	Done  = "done"
)

// Audit has the newest acts.
type Audit struct {
	store  *store.Store
	bucket store.Bucket[Act]
	most   int

	mu   sync.Mutex
	next uint64
}

// OpenAudit reads where the log ends.
func OpenAudit(s *store.Store, most int) (*Audit, error) {
	a := &Audit{store: s, bucket: store.Bucket[Act]{Name: "audit"}, most: most}
	err := s.View(func(t *store.Tx) error {
		return a.bucket.EachKey(t, func(key string) bool { a.next = number(key) + 1; return true })
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return a, nil
}

// Begin stores that a command begins; it returns what stores how it ended.
func (a *Audit) Begin(act Act) (end func(result string, at time.Time) error, err error) {
	act.Words, act.Result = cut(act.Words, maxText), Begun
	a.mu.Lock()
	n := a.next
	a.next++
	a.mu.Unlock()
	end = func(result string, at time.Time) error {
		act.Result, act.Ended = cut(result, maxText), at
		return a.put(n, act)
	}
	return end, a.put(n, act)
}

func (a *Audit) put(n uint64, act Act) error {
	err := a.store.Update(func(t *store.Tx) error {
		if err := a.bucket.Put(t, store.Key(n), act); err != nil {
			return err
		}
		return dropOld(t, a.bucket, n+1, a.most)
	})
	if err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}

// Newest returns the acts there are, the oldest first.
func (a *Audit) Newest() (all []Act, err error) {
	err = a.store.View(func(t *store.Tx) error {
		return a.bucket.Each(t, func(_ string, act Act) error {
			all = append(all, act)
			return nil
		})
	})
	return all, err
}

// cut is a text of at most so many bytes, in which nothing harms a terminal.
func cut(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len()+utf8.RuneLen(r) > most {
			b.WriteString("...")
			break
		}
		if !unicode.IsPrint(r) && r != '\n' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}
