// SPDX-License-Identifier: Apache-2.0

package store

import "testing"

func TestStates(t *testing.T) {
	type value struct {
		Name string
		Of   *int
	}
	one := 1
	var s States
	if s.Has(value{}) || s.Has(nil) {
		t.Error("no states have one")
	}
	s = s.With(value{Name: "a"}).With((*value)(nil)).With(value{"b", &one}).With(value{Name: "a"})
	other := 1
	if len(s) != 3 || !s.Has(value{Name: "a"}) || !s.Has((*value)(nil)) || !s.Has(value{"b", &other}) || s.Has(value{Name: "b"}) {
		t.Errorf("states %v", s)
	}
	less := s.Without(value{Name: "a"})
	if len(less) != 2 || less.Has(value{Name: "a"}) || !s.Has(value{Name: "a"}) {
		t.Errorf("states %v of %v", less, s)
	}
	for i := range 2 * maxStates {
		s = s.With(i)
	}
	if len(s) != maxStates || s.Has(value{Name: "a"}) || !s.Has(2*maxStates-1) || !s.Has(maxStates) || s.Has(maxStates-1) {
		t.Errorf("%d states are kept", len(s))
	}
}
