// SPDX-License-Identifier: Apache-2.0

// Package mutant runs array daemons that leave out a rule. A test that is to notice what
// the rule prevents is worth something only if it fails with such a daemon.
package mutant
