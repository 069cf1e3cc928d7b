// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// Outcome is what a host knows of a command that was sent once.
type Outcome uint8

// The outcomes.
const (
	// Done: it took effect, or what was read is in hand.
	Done Outcome = iota
	// NotDone: it had no effect, and never will.
	NotDone
	// Maybe: its answer says nothing of its effect, or never came.
	Maybe
	// Miscompared: a COMPARE AND WRITE found something else.
	Miscompared
)

const codeMiscompare = 0x0E1D00

// Once sends a command once, through the named array or any if it is "", and says what
// came of it. An error is one that a file system would see, or that no path is there
// within the given time. Data read are in r.In.
func (d *Disk) Once(ctx context.Context, array string, cmd initiator.Command, within time.Duration) (r initiator.Result, o Outcome, err error) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	l, err := d.lane(ctx, array, deadline.C)
	if err != nil {
		return r, NotDone, err
	}
	cmd.LUN, cmd.Tag = l.lun, 0
	r = l.conn.Do(cmd)
	v, down, look := judge(r)
	if v == elsewhere {
		d.leave(l, down)
	}
	if look {
		d.look(l, r)
	}
	switch {
	case v == finished:
		return r, Done, nil
	case r.Code() == codeMiscompare:
		return r, Miscompared, nil
	case v == later, r.Err == nil && r.Code()>>16 == keyAttention:
		return r, NotDone, nil
	case v == failed:
		return r, Maybe, &Error{r.Status, r.Code()}
	}
	return r, Maybe, nil
}

// Reading is the command that reads n bytes, Writing one that writes b, Comparing one
// that writes b if compare is there.
func Reading(n int, off int64) (initiator.Command, error) {
	cdb, err := transfer(0x88, n, off)
	return initiator.Command{CDB: cdb, In: n}, err
}

func Writing(b []byte, off int64) (initiator.Command, error) {
	cdb, err := transfer(0x8A, len(b), off)
	return initiator.Command{CDB: cdb, Out: b, Immediate: len(b)}, err
}

func Comparing(compare, b []byte, off int64) (initiator.Command, error) {
	if len(compare) != len(b) || len(b) == 0 || len(b)%sector != 0 || len(b)/sector > 255 || off < 0 || off%sector != 0 {
		return initiator.Command{}, fmt.Errorf("compare %d and write %d bytes at %d: %w", len(compare), len(b), off, errors.ErrUnsupported)
	}
	cdb := make([]byte, 16)
	cdb[0] = 0x89
	binary.BigEndian.PutUint64(cdb[2:], uint64(off/sector))
	cdb[13] = byte(len(b) / sector)
	out := append(append(make([]byte, 0, 2*len(b)), compare...), b...)
	return initiator.Command{CDB: cdb, Out: out, Immediate: len(out)}, nil
}
