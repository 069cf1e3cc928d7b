// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/perdure/perdure/internal/array"

// VolumeNumber and GroupNumber are what people know a volume and a group by.
func (n *Node) VolumeNumber(id array.VolumeID) uint64 {
	return array.NumberOf(uint64(id), n.cfg.SystemID, n.to().SystemID)
}

// GroupNumber is a group's.
func (n *Node) GroupNumber(id array.GroupID) uint64 {
	return array.NumberOf(uint64(id), n.cfg.SystemID, n.to().SystemID)
}
