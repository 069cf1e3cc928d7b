// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// bed is what a journal lies on: a directory, or one device.
type bed func(*vfs.Mem, Options) (*Journal, func() error, error)

func inDirectory(m *vfs.Mem, o Options) (*Journal, func() error, error) {
	j, err := Open(m, "j", o)
	if err != nil {
		return nil, nil, err
	}
	return j, j.Close, nil
}

// onDevice begins with a blank device if there is none.
func onDevice(m *vfs.Mem, o Options) (*Journal, func() error, error) {
	if len(m.Names()) == 0 {
		f, err := m.Open("dev", vfs.Create)
		if err != nil {
			return nil, nil, err
		}
		if err := errors.Join(f.Allocate(o.Limit+vfs.Overhead), f.Sync(), f.Close(), m.SyncDir(".")); err != nil {
			return nil, nil, err
		}
	}
	p, err := vfs.OpenPartitioned(m, "dev", 0)
	if err != nil {
		return nil, nil, err
	}
	j, err := Open(p, ".", o)
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return j, func() error { return errors.Join(j.Close(), p.Close()) }, nil
}

// TestInspectDevice looks at a journal on a device, which stays as it is.
func TestInspectDevice(t *testing.T) {
	m := vfs.NewMem()
	j, done, err := onDevice(m, testOptions())
	if err == nil {
		err = j.SetBase(1, array.Position{})
	}
	if err == nil {
		err = j.Append(Record{Group: 1, Pos: array.Position{Epoch: 1, Term: 1, Place: 1}, Kind: Data, Volume: 7, Length: 3, Payload: []byte("abc")})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.OpenPartitioned(m, "dev", vfs.ReadOnly); err == nil {
		t.Fatal("the device of an open journal was opened")
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	m.SetHook(func(op vfs.Op) { t.Errorf("%v %s", op.Verb, op.Name) })
	p, err := vfs.OpenPartitioned(m, "dev", vfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := Inspect(p, ".", nil, func(text string) { t.Error(text) })
	if err != nil || len(logs) != 1 || logs[0].Last.Place != 1 {
		t.Fatalf("%+v %v", logs, err)
	}
}

// TestSmallDevice: a device that the journal does not fit on is full, and a larger one
// takes a larger journal.
func TestSmallDevice(t *testing.T) {
	m := vfs.NewMem()
	o := testOptions()
	_, done, err := onDevice(m, o)
	if err == nil {
		err = done()
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Limit += 4 * o.SegmentSize
	if _, _, err = onDevice(m, o); array.KindOf(err) != array.Full || !strings.Contains(err.Error(), "no room for a journal") {
		t.Fatal(err)
	}
}
