// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Address is one that may be taken over, on a device of this machine.
type Address struct {
	Prefix netip.Prefix // with the length of its network
	Device string
}

func (a Address) String() string { return fmt.Sprintf("%s on %s", a.Prefix, a.Device) }

// Network is what carries addresses. Linux is one.
type Network interface {
	// Set gives the machine an address, or renews it, for a lifetime. Fresh reports that
	// it did not have it.
	Set(a Address, lifetime time.Duration) (fresh bool, err error)
	// Remove takes it away; it need not be there.
	Remove(a Address) error
	// Permanent reports whether the machine has the address without a lifetime.
	Permanent(a Address) (bool, error)
	// Answered reports whether somebody else on the network has the address.
	Answered(ctx context.Context, a Address) (bool, error)
	// Announce tells the network where the address is now.
	Announce(a Address) error
}

// Config is what a Keeper is made of.
type Config struct {
	Own, Others []Address
	Network     Network
	// Now is a clock that goes on while the machine sleeps.
	Now func() time.Time
	// Facts returns how things stand. It does not block for long.
	Facts func() Facts
	// StandIn is told that this array stands in for the other, before it has the first of
	// its addresses, and that it does no longer, before it has none and after.
	StandIn func(bool)
	// Event tells people what happens, Alarm what they should look at.
	Event, Alarm func(string)
}

// Keeper keeps a machine's addresses as the rules say.
type Keeper struct {
	cfg     Config
	rules   Rules
	stop    context.CancelFunc
	wg      sync.WaitGroup
	standIn atomic.Bool

	// The goroutine's own.
	have    Want
	errors  map[Address]string // what was told of
	refused time.Time          // when somebody else answered for one
	renewed time.Time          // when the other's addresses may have been set last
}

// Start checks that nobody else set the addresses, and keeps them from then on. Those of the
// other array that a process before this one may have left behind are gone when it returns, or
// StandsIn says that they may be here.
func Start(cfg Config) (*Keeper, error) {
	for _, a := range append(append([]Address(nil), cfg.Own...), cfg.Others...) {
		permanent, err := cfg.Network.Permanent(a)
		if err != nil {
			return nil, fmt.Errorf("look at address %s: %w", a, err)
		}
		if permanent {
			return nil, fmt.Errorf("address %s is there already, and stays whatever happens: take it out of the machine's network configuration, the array sets it itself", a)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &Keeper{cfg: cfg, stop: stop, errors: map[Address]string{}}
	k.standIn.Store(!k.removeOthers(cfg.Now()))
	k.wg.Go(func() { k.run(ctx) })
	return k, nil
}

// StandsIn reports whether this machine has, or may have, an address of the other array.
func (k *Keeper) StandsIn() bool { return k != nil && k.standIn.Load() }

// Close takes the addresses away: the array stops.
func (k *Keeper) Close() error {
	if k == nil {
		return nil
	}
	k.stop()
	k.wg.Wait()
	var errs []error
	for _, a := range k.cfg.Own {
		errs = append(errs, k.cfg.Network.Remove(a))
	}
	k.endStandIn()
	return errors.Join(errs...)
}

func (k *Keeper) run(ctx context.Context) {
	t := time.NewTicker(Renew)
	defer t.Stop()
	for {
		k.turn(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// turn looks at how things stand, and renews or takes away.
func (k *Keeper) turn(ctx context.Context) {
	began := k.cfg.Now()
	f := k.cfg.Facts()
	if k.cfg.Now().Sub(began) >= stale {
		return // the machine stood still: this is how it was
	}
	want := k.rules.Step(began, f)
	if want.Own {
		k.setAll(k.cfg.Own, began)
	} else if k.have.Own {
		k.removeAll(k.cfg.Own)
		k.cfg.Event("this array's portal addresses were given up: it neither has the other's lease nor serves a group alone")
	}
	k.have.Own = want.Own
	switch {
	case want.Others && !k.have.Others && len(k.cfg.Others) > 0:
		k.have.Others = k.beginStandIn(ctx)
	case want.Others && k.have.Others:
		k.setOthers(began)
	case k.have.Others:
		if k.have.Others = !k.endStandIn(); !k.have.Others {
			k.cfg.Event("this array no longer stands in at the other's portal addresses")
		}
	default:
		k.endStandIn()
	}
}

// again is how long the other's addresses are left alone after somebody answered for one.
const again = 10 * time.Second

// beginStandIn takes the other array's addresses, if nobody answers for them.
func (k *Keeper) beginStandIn(ctx context.Context) bool {
	if now := k.cfg.Now(); !k.refused.IsZero() && now.Sub(k.refused) < again {
		return false
	}
	free := k.free(ctx)
	if ctx.Err() != nil {
		return false
	}
	if !free {
		k.refused = k.cfg.Now()
		return false
	}
	// What was asked for took its time. A grant before the mark is seen by this look; one
	// after it carries the mark.
	k.standIn.Store(true)
	began := k.cfg.Now()
	if want := k.rules.Step(began, k.cfg.Facts()); !want.Others || k.cfg.Now().Sub(began) >= stale {
		k.standIn.Store(false)
		return false
	}
	k.cfg.StandIn(true)
	k.setOthers(began)
	k.cfg.Event("the other array is gone; this one stands in at its portal addresses")
	return true
}

// free reports whether nobody answers for any of the other array's addresses.
func (k *Keeper) free(ctx context.Context) bool {
	errs := make([]error, len(k.cfg.Others))
	var wg sync.WaitGroup
	for i, a := range k.cfg.Others {
		wg.Go(func() {
			answered, err := k.cfg.Network.Answered(ctx, a)
			if err != nil {
				errs[i] = fmt.Errorf("ask the network who has it: %w", err)
			} else if answered {
				errs[i] = errors.New("somebody answers for it, though the other array is gone by all rules; it is not taken over")
			}
		})
	}
	wg.Wait()
	for i, a := range k.cfg.Others {
		k.told(a, errs[i])
	}
	return errors.Join(errs...) == nil
}

// endStandIn gives the other array's addresses back, and reports whether all are gone.
func (k *Keeper) endStandIn() bool {
	if !k.standIn.Load() {
		return true
	}
	k.cfg.StandIn(false) // hosts hear of it while there is a way to them
	if !k.removeOthers(k.renewed) {
		return false
	}
	k.standIn.Store(false)
	k.cfg.StandIn(false) // who looked before, too
	return true
}

// removeOthers takes the other array's addresses away, which were set at renewed for the last
// time, and reports whether all are gone: one that can't be removed is still there, for its
// lifetime at most.
func (k *Keeper) removeOthers(renewed time.Time) bool {
	k.renewed = renewed
	var errs []error
	for _, a := range k.cfg.Others {
		err := k.cfg.Network.Remove(a)
		k.told(a, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...) == nil || k.cfg.Now().Sub(renewed) >= Gone
}

// setOthers is setAll for the other array's.
func (k *Keeper) setOthers(began time.Time) {
	k.setAll(k.cfg.Others, began)
	k.renewed = k.cfg.Now()
}

// setAll renews addresses because of facts as of began. One that was set late is taken away
// again: the process may have stood still on the way to the kernel, and what it was set for
// may be over.
func (k *Keeper) setAll(all []Address, began time.Time) {
	for _, a := range all {
		if k.cfg.Now().Sub(began) >= stale {
			return
		}
		fresh, err := k.cfg.Network.Set(a, Lifetime)
		switch {
		case k.cfg.Now().Sub(began) >= stale:
			err = errors.Join(err, k.cfg.Network.Remove(a))
		case err == nil && fresh:
			err = k.cfg.Network.Announce(a)
		}
		k.told(a, err)
	}
}

func (k *Keeper) removeAll(all []Address) {
	for _, a := range all {
		k.told(a, k.cfg.Network.Remove(a))
	}
}

// told tells people of an address's trouble once, and when it is over.
func (k *Keeper) told(a Address, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if k.errors[a] == text {
		return
	}
	if k.errors[a] = text; err != nil {
		k.cfg.Alarm(fmt.Sprintf("portal address %s: %v", a, err))
	} else {
		k.cfg.Event(fmt.Sprintf("portal address %s is as it should be again", a))
	}
}
