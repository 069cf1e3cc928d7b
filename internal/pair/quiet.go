// SPDX-License-Identifier: Apache-2.0

package pair

// quiet counts how long the other array has not been heard. Time in which this process did
// not run itself does not count: what came meanwhile lies unread, and where both machines'
// processors are wanted by others too, or both arrays are on one machine, each would take
// the other for dead for its own standing still.
type quiet struct {
	checked int64 // when it was looked at last
	renewed int64 // what was heard last then
	late    int64 // how long this process has stood still since that was heard
}

// after looks at it, which is to be done every beat, and reports whether the other array
// has been quiet for longer than the detection time. Standing still counts for nothing up to
// twice that time: an array that gets hardly any of its processors still finds out, later.
func (q *quiet) after(now, renewed int64, t Timing) bool {
	if renewed != q.renewed {
		q.renewed, q.late = renewed, 0
	}
	if q.checked != 0 {
		q.late += max(0, now-q.checked-2*int64(t.Beat))
	}
	q.checked = now
	q.late = min(q.late, 2*int64(t.Detect))
	return now-renewed-q.late > int64(t.Detect)
}
