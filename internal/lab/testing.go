// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"os"
	"os/exec"
)

// A T is what a lab needs of a test; *testing.T and *testing.B have it.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	TempDir() string
	Cleanup(func())
}

// Test returns a lab that ends with the test. Where none can be had the test is
// skipped, unless PERDURE_LAB=required is set.
func Test(t T) *Lab {
	t.Helper()
	l, err := New(Options{Dir: t.TempDir(), Logf: t.Logf})
	switch {
	case errors.Is(err, ErrUnsupported) && os.Getenv("PERDURE_LAB") != "required":
		t.Skipf("%v", err)
	case err != nil:
		t.Fatalf("%v", err)
	}
	t.Cleanup(l.Close)
	return l
}

// Need returns where a program is that a test can't do without. Where it is not installed the
// test is skipped, unless PERDURE_LAB=required is set, as 'make test' does: that installs it.
func Need(t T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("PERDURE_LAB") == "required":
		t.Fatalf("%v: 'make setup' installs it", err)
	default:
		t.Skipf("%v: 'make setup' installs it, and 'make test' fails without it", err)
	}
	return path
}

// The networks of Standard.
const (
	Link1   = "link1"   // between the arrays
	Link2   = "link2"   // likewise
	Manage  = "manage"  // between all: management and the witness
	Fabric1 = "fabric1" // between arrays and host
	Fabric2 = "fabric2" // likewise
)

// The nodes of Standard.
const (
	A       = "a"
	B       = "b"
	Witness = "witness"
	Host    = "host"
)

// Standard builds the usual setting: two arrays with two links, a witness at a
// third site, and a host with two fabrics.
func (l *Lab) Standard() error {
	for _, n := range []string{Link1, Link2, Manage, Fabric1, Fabric2} {
		if _, err := l.AddNetwork(n); err != nil {
			return err
		}
	}
	for _, n := range []struct {
		name     string
		networks []string
	}{
		{A, []string{Link1, Link2, Manage, Fabric1, Fabric2}},
		{B, []string{Link1, Link2, Manage, Fabric1, Fabric2}},
		{Witness, []string{Manage}},
		{Host, []string{Manage, Fabric1, Fabric2}},
	} {
		if _, err := l.AddNode(n.name, n.networks...); err != nil {
			return err
		}
	}
	return nil
}
