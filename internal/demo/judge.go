// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/rig"
)

// judge reads everything through the serving array, then through the other, and
// holds both against what was acknowledged and against each other.
func (s *show) judge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s.say(bold, "▶ every block read through one array, then through the other")
	var pictures [2]load.Picture
	for turn := range pictures {
		i, err := s.r.Serving(ctx, group)
		if err != nil {
			return err
		}
		if turn == 1 {
			if _, err := s.r.Command(ctx, i, "setrcopygroup", "switchover", group); err != nil {
				return err
			}
			i = 1 - i
		}
		if pictures[turn], err = s.load.Verify(ctx, rig.Name(i)); err != nil {
			return err
		}
		s.say(plain, "  read through %s, %d blocks wrong", rig.Name(i), s.load.Faults())
	}
	all, different := pictures[0].Compare(pictures[1])
	if different > 0 {
		return fmt.Errorf("the two copies differ in %d of %d blocks", different, all)
	}
	st := s.host.Stats()
	s.say(plain, "  both copies are the same, %d blocks", all)
	s.say(plain, "  hidden by the host's multipath: %d commands sent again on another path, %d on the same, %d waited for a path", st.Elsewhere, st.Busy+st.Attentions, st.Queued)
	return nil
}
