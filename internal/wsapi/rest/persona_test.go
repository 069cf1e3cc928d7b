// SPDX-License-Identifier: Apache-2.0

package rest

import "testing"

// TestPersonaNumbers: the interface's numbers are not the command line's.
func TestPersonaNumbers(t *testing.T) {
	for assigned, x := range map[int]struct{ word, name string }{
		1: {"1", "Generic"}, 2: {"2", "Generic-ALUA"}, 3: {"6", "Generic-legacy"}, 8: {"11", "VMware"}, 11: {"15", "WindowsServer"},
	} {
		word, err := personaWord(assigned)
		if err != nil || word != x.word || personas()[assigned-1].Name != x.name {
			t.Errorf("persona %d is %s of the command line and called %s, want %s and %s; %v", assigned, word, personas()[assigned-1].Name, x.word, x.name, err)
		}
	}
	if personaNumber(11) != 8 || personaNumber(15) != 11 {
		t.Errorf("personas 11 and 15 of the command line are %d and %d", personaNumber(11), personaNumber(15))
	}
	if _, err := personaWord(12); err == nil {
		t.Error("there are 11 personas")
	}
}
