// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// Do runs any command as reads and writes are run: on whichever path works, and, as it
// is, again on another one if its answer was lost.
func (d *Disk) Do(ctx context.Context, cmd initiator.Command) (initiator.Result, error) {
	if len(cmd.Out) > MaxIO || cmd.In > MaxIO {
		return initiator.Result{}, fmt.Errorf("command %#x to %s: more than %d bytes", cmd.CDB[0], d.WWN, MaxIO)
	}
	r, err := d.do(ctx, "", cmd, len(cmd.Out) > 0)
	if err != nil {
		return r, fmt.Errorf("command %#x to %s: %w", cmd.CDB[0], d.WWN, err)
	}
	return r, nil
}

// Each runs a command once on every path that there is, also on those not to be used
// for data, and joins the errors: what a host does with its registrations.
func (d *Disk) Each(ctx context.Context, cmd initiator.Command) error {
	d.mu.Lock()
	lanes := slices.Clone(d.lanes)
	d.mu.Unlock()
	if len(lanes) == 0 {
		return fmt.Errorf("command %#x to %s: %w", cmd.CDB[0], d.WWN, ErrNoPath)
	}
	var errs []error
	for _, l := range lanes {
		if err := d.on(ctx, l, cmd); err != nil {
			errs = append(errs, fmt.Errorf("command %#x to %s through %s: %w", cmd.CDB[0], d.WWN, l.path.portal.Addr, err))
		}
	}
	return errors.Join(errs...)
}

// on runs a command on one path until it ends one way or the other.
func (d *Disk) on(ctx context.Context, l *lane, cmd initiator.Command) error {
	deadline := time.NewTimer(d.host.opt.Queue)
	defer deadline.Stop()
	for {
		cmd.LUN, cmd.Tag = l.lun, 0
		r := l.conn.Do(cmd)
		switch v, _, look := judge(r); {
		case v == finished:
			return nil
		case v == elsewhere && r.Err != nil:
			return r.Err
		case v == failed || v == elsewhere:
			return &Error{r.Status, r.Code()}
		case look:
			d.look(l, r)
		}
		if err := wait(ctx, deadline.C); err != nil {
			return err
		}
	}
}
