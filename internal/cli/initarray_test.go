// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestInitArray: an array of its own is made once, with a key that nobody else reads, or not at
// all.
func TestInitArray(t *testing.T) {
	good := Single{Dir: t.TempDir(), Name: "array-c", System: 3, ISCSI: "192.0.2.3:3260", Links: []string{"192.0.2.3:5785"}, SSH: "192.0.2.3:2222", REST: "192.0.2.3:8080"}
	for want, wrong := range map[string]func(*Single){
		`the name "Array_C"`: func(s *Single) { s.Name = "Array_C" },
		`the name "../up"`:   func(s *Single) { s.Name = "../up" },
		"system_id 0":        func(s *Single) { s.System = 0 },
		"at least one":       func(s *Single) { s.Links = nil },
		`link 1 is "here"`:   func(s *Single) { s.Links = []string{"here"} },
		"and so is":          func(s *Single) { s.SSH = s.ISCSI },
		"and so is the SSH":  func(s *Single) { s.REST = s.SSH },
	} {
		s := good
		wrong(&s)
		if _, err := InitArray(s); array.KindOf(err) != array.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if made, err := os.ReadDir(good.Dir); err != nil || len(made) > 0 {
		t.Fatalf("what was refused has made %v, %v", made, err)
	}
	key, err := InitArray(good)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(good.Dir, "array-c", "perdured.toml")
	text, err := os.ReadFile(config)
	if err != nil || !strings.Contains(string(text), "system_id = 3\n") || !strings.Contains(string(text), "[wsapi]\nlisten = [\"192.0.2.3:8080\"]") || !strings.Contains(string(text), "[links]\nlisten = [\"192.0.2.3:5785\"]") {
		t.Errorf("%s, %v", text, err)
	}
	if i, err := os.Stat(config); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", i, err)
	}
	if again, err := InitArray(good); array.KindOf(err) != array.Exists || again == key {
		t.Errorf("a second time: %v", err)
	}
}
