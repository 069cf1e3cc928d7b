// SPDX-License-Identifier: Apache-2.0

package hostkey

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *Keys {
	t.Helper()
	k, err := Open(dir)
	ok(t, err)
	return k
}

// TestTurn: keys stay over restarts, until those to come take their place; a death between the two
// files leaves one turned, and turning again turns the other.
func TestTurn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ssh")
	k := open(t, dir)
	before := k.Show()
	if again := open(t, dir).Show(); !slices.Equal(again, before) || len(before) != 2 {
		t.Fatalf("%v became %v", before, again)
	}
	ok(t, k.Prepare())
	both := k.Show()
	if again := open(t, dir).Show(); !slices.Equal(again, both) || len(both) != 4 || !both[2].Next || both[0].Next {
		t.Fatalf("%v became %v", both, again)
	}
	ok(t, os.Rename(filepath.Join(dir, "host_ed25519.next"), filepath.Join(dir, "host_ed25519"))) // and the array ends
	k = open(t, dir)
	if half := k.Show(); len(half) != 3 || half[0].Public != both[2].Public || half[1] != both[1] || half[2] != both[3] {
		t.Fatalf("half of it: %v", half)
	}
	ok(t, k.Turn())
	for _, x := range []*Keys{k, open(t, dir)} {
		if all := x.Show(); len(all) != 2 || all[0].Public != both[2].Public || all[1].Public != both[3].Public || all[0].Next || all[1].Next {
			t.Errorf("turned: %v", all)
		}
	}
	turned := k.Show()
	ok(t, k.Prepare())
	ok(t, k.Drop())
	for _, x := range []*Keys{k, open(t, dir)} {
		if all := x.Show(); !slices.Equal(all, turned) {
			t.Errorf("given up: %v", all)
		}
	}
}

// TestAKeyThatCantBeReadIsNotReplaced: clients would take the array for another one.
func TestAKeyThatCantBeReadIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "host_ed25519")
	ok(t, os.WriteFile(path, []byte("torn"), 0o600))
	if _, err := Open(dir); err == nil {
		t.Error("it was opened")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "torn" {
		t.Errorf("it has %q, %v", b, err)
	}
}

// TestProofs are for keys that the array has, bound to the connection, and never with SHA-1.
func TestProofs(t *testing.T) {
	k := open(t, t.TempDir())
	ok(t, k.Prepare())
	session := []byte("this one")
	for _, with := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSA} {
		answer, err := k.Proofs(k.Offered(), session, with)
		ok(t, err)
		for _, s := range append(k.Current(), k.Next()...) {
			var one struct {
				Sig  []byte
				Rest []byte `ssh:"rest"`
			}
			ok(t, ssh.Unmarshal(answer, &one))
			answer = one.Rest
			var sig ssh.Signature
			ok(t, ssh.Unmarshal(one.Sig, &sig))
			data := func(session []byte) []byte {
				return ssh.Marshal(struct {
					What          string
					Session, Blob []byte
				}{"hostkeys-prove-00@openssh.com", session, s.PublicKey().Marshal()})
			}
			ok(t, s.PublicKey().Verify(data(session), &sig))
			if s.PublicKey().Verify(data([]byte("another")), &sig) == nil {
				t.Error("it proves another connection, too")
			}
			if sig.Format == ssh.KeyAlgoRSA || with == ssh.KeyAlgoRSASHA256 && s.PublicKey().Type() == ssh.KeyAlgoRSA && sig.Format != with {
				t.Errorf("over %s it signs with %s", with, sig.Format)
			}
		}
		if len(answer) > 0 {
			t.Errorf("%d bytes too many", len(answer))
		}
	}
	other := open(t, t.TempDir())
	for name, asked := range map[string][]byte{
		"of another array": other.Offered(),
		"twice":            append(k.Offered(), k.Offered()...),
		"one key twice":    slices.Concat(ssh.Marshal(wire{rsaOf(k)}), ssh.Marshal(wire{rsaOf(k)})),
		"torn":             k.Offered()[:20],
		"too long":         {0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := k.Proofs(asked, session, ""); err == nil {
			t.Errorf("keys %s are proved", name)
		}
	}
}

// FuzzProofs: what a client sends ends nothing.
func FuzzProofs(f *testing.F) {
	k := open(f, f.TempDir())
	f.Add(k.Offered())
	f.Fuzz(func(t *testing.T, asked []byte) {
		if len(asked) > 1<<10 {
			return
		}
		answer, err := k.Proofs(asked, []byte("x"), "")
		if (err == nil) != (len(answer) > 0 || len(asked) == 0) {
			t.Errorf("%d bytes, %v", len(answer), err)
		}
	})
}

func rsaOf(k *Keys) []byte { return k.Current()[1].PublicKey().Marshal() }
