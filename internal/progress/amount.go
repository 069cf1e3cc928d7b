// SPDX-License-Identifier: Apache-2.0

package progress

// Amount is how much of a copy is done.
type Amount struct {
	// Done of Total is how much of the work: bytes of volumes that were looked through, or
	// records of a journal. Total is 0 if only the other side knows.
	Done, Total int64
	// Bytes is how many arrived.
	Bytes int64
}

// Percent is at most 99, since what is whole is told otherwise, and -1 if it is not known.
func (a Amount) Percent() int {
	if a.Total <= 0 {
		return -1
	}
	return int(max(0, min(99, float64(a.Done)*100/float64(a.Total))))
}
