// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

const (
	// maxLUN is the highest LUN of an export.
	maxLUN = 16383
	// maxAsked bounds the initiators that one array asks the other about.
	maxAsked = 1 << 16
)

// lunQuestion asks the other array which LUNs a host, or a set's hosts, can't be given.
type lunQuestion struct {
	Host string `json:"host"`
	// Initiators are those of the host here: there it may be one that has others.
	Initiators []string `json:"initiators"`
}

// takenLUNs answers it, with a bit of each LUN that is taken.
func (n *Node) takenLUNs(q lunQuestion) ([]byte, error) {
	if len(q.Initiators) > maxAsked {
		return nil, array.Errorf(array.Invalid, "the LUNs of %d initiators: want at most %d", len(q.Initiators), maxAsked)
	}
	bits := make([]byte, (maxLUN+8)/8)
	err := n.store.View(func(t *store.Tx) error {
		s, err := loadHosts(t)
		if err != nil {
			return err
		}
		for lun := range s.takenIn(t, q.Host, q.Initiators...) {
			if lun <= maxLUN {
				bits[lun/8] |= 1 << (lun % 8)
			}
		}
		return nil
	})
	return bits, err
}

// takenThere returns which LUNs of a host are taken on the other array; none if it does not
// answer, as then it is not asked whether it can follow either.
func (n *Node) takenThere(ctx context.Context, host string) (map[uint16]bool, error) {
	taken := map[uint16]bool{}
	if !n.reachable() {
		return taken, nil
	}
	var s *sight
	if err := n.store.View(func(t *store.Tx) (err error) { s, err = loadHosts(t); return err }); err != nil {
		return nil, err
	}
	r, err := n.answered(ctx, askWithin, request{LUNs: &lunQuestion{Host: host, Initiators: s.initiators(host)}})
	if err != nil {
		return nil, err
	}
	for lun := range min(len(r.Bits)*8, maxLUN+1) {
		if r.Bits[lun/8]&(1<<(lun%8)) != 0 {
			taken[uint16(lun)] = true
		}
	}
	return taken, nil
}
