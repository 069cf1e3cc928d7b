// SPDX-License-Identifier: Apache-2.0

//go:build prove

package iscsi

import "testing"

// TestManyLoginsLeaveNothing: memory is flat over 100,000 logins.
func TestManyLoginsLeaveNothing(t *testing.T) { loginMany(t, 100_000) }
