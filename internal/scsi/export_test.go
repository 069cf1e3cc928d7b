// SPDX-License-Identifier: Apache-2.0

package scsi

import "time"

// SetTurnPatience sets after how long a command no longer counts, and has no host be forgotten. Only before the first.
func (s *Server) SetTurnPatience(d time.Duration) { s.turns.patience, s.turns.memory = d, time.Hour }
