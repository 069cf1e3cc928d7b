// SPDX-License-Identifier: Apache-2.0

// Package schedule says when something that is to be done again and again is due. Times
// are written as cron does: minute, hour, day of month, month, day of week, or one of
// @hourly, @daily, @weekly, @monthly, @yearly.
//
// # Invariants
//
//   - Whether something is due depends on when it was last done and what time it is, and
//     nothing else. However long it could not be done, it is due once.
//   - A minute of the clock on the wall is due once: not again when the clock is set back,
//     or in the hour that is repeated when summer time ends.
//
// # Concurrency
//
// Values, which never change.
package schedule
