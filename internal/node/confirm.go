// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/perdure/perdure/internal/array"

// confirmation lets a command that takes something away want -f. Whoever sits at a terminal
// is asked instead, by the face, which then gives the command again with it: the error says
// that this is all it lacks. It is given last, when nothing else stands in the way.
func (a *args) confirmation() func(format string, v ...any) error {
	force := a.flags.Bool("f", false, "")
	return func(format string, v ...any) error {
		if *force {
			return nil
		}
		return unconfirmed(format, v...)
	}
}

// unconfirmed says what would happen, and that -f is missing.
func unconfirmed(format string, v ...any) error {
	return array.Errorf(array.Invalid, format+": say -f", v...).Because(array.Unconfirmed)
}
