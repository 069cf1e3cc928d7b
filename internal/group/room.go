// SPDX-License-Identifier: Apache-2.0

package group

import "github.com/perdure/perdure/internal/scsi"

// roomy is a Disk whose volume takes its pages from a pool that others share.
type roomy interface {
	Room() (used, most int64, thin bool)
}

var _ scsi.Provisioned = (*Unit)(nil)

// Space returns how much room there is for a thin volume on this array.
func (u *Unit) Space() (scsi.Space, bool) {
	r, ok := u.disk.(roomy)
	if !ok {
		return scsi.Space{}, false
	}
	used, most, thin := r.Room()
	return scsi.Space{Used: used, Limit: most}, thin
}
