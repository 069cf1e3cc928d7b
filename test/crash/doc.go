// SPDX-License-Identifier: Apache-2.0

// Package crash cuts the power of a storage engine, journal and pages together, at
// operations on its disk, and looks whether what was acknowledged is there afterwards.
// A disk that ignores what it is told to keep must be found out. With the tag lab it
// kills daemons under load as well.
package crash
