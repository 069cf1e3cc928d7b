// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Status is what an array says of a group.
type Status struct {
	// Serving is the name of the array that serves, as far as this one knows.
	Serving string
	// Role is the incumbent's word (Primary-Rev), State Started or Stopped, Sync
	// Synced or not.
	Role, State, Sync string
	// Reason says why it is not served here, if it is not.
	Reason string
}

// Status asks array i about a group.
func (r *Rig) Status(ctx context.Context, i int, group string) (Status, error) {
	text, err := r.Command(ctx, i, "status")
	if err != nil {
		return Status{}, err
	}
	return parseStatus(text, group)
}

// parseStatus reads the lines about a group:
//
//	group  g1  serving array array-a, home array array-a, Primary, Started, Synced
//	           not served here: the reason
func parseStatus(text, group string) (Status, error) {
	lines := strings.Split(text, "\n")
	for k, l := range lines {
		if f := strings.Fields(l); len(f) < 3 || f[0] != "group" || f[1] != group {
			continue
		}
		_, rest, ok := strings.Cut(l, "serving array ")
		f := strings.Split(rest, ", ")
		if !ok || len(f) < 5 {
			return Status{}, fmt.Errorf("status says %q", l)
		}
		s := Status{Serving: f[0], Role: f[2], State: f[3], Sync: f[4]}
		if k+1 < len(lines) {
			_, s.Reason, _ = strings.Cut(lines[k+1], "not served here: ")
		}
		return s, nil
	}
	return Status{}, fmt.Errorf("status says nothing of group %s", group)
}

// Record returns the membership record as array i knows it, "" if it doesn't answer.
func (r *Rig) Record(ctx context.Context, i int, group string) string {
	text, err := r.Command(ctx, i, "explain", group)
	if err != nil {
		return ""
	}
	for _, l := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(l, "record"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// Says reports whether array i says of itself, and at once, that it serves the group.
func (r *Rig) Says(ctx context.Context, i int, group string) bool {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	s, err := r.Status(ctx, i, group)
	return err == nil && s.Serving == Name(i)
}

// servingIn bounds how long nobody may serve while an array passes the order on or
// takes a new lease.
const servingIn = 3 * time.Second

// Serving returns the array that says of itself that it serves the group, after a
// moment if need be.
func (r *Rig) Serving(ctx context.Context, group string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, servingIn)
	defer cancel()
	found := -1
	var said [2]string
	err := r.Until(ctx, "an array to serve group "+group, func() bool {
		for i := range nodes {
			s, err := r.Status(ctx, i, group)
			if err == nil && s.Serving == Name(i) {
				found = i
			}
			said[i] = fmt.Sprintf("%s says %+v, %v", Name(i), s, err)
		}
		return found >= 0
	})
	if err != nil {
		return 0, fmt.Errorf("neither array serves group %s: %s; %s", group, said[0], said[1])
	}
	return found, nil
}

// InSync reports whether one array serves, the other knows it, and both copies are
// whole.
func (r *Rig) InSync(ctx context.Context, group string) bool {
	a, err := r.Status(ctx, A, group)
	if err != nil {
		return false
	}
	b, err := r.Status(ctx, B, group)
	return err == nil && a.Sync == "Synced" && b.Sync == "Synced" && a.Serving == b.Serving && strings.HasPrefix(a.Serving, "array-")
}
