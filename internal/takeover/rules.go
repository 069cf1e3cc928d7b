// SPDX-License-Identifier: Apache-2.0

package takeover

import "time"

const (
	// Renew is how often addresses are renewed, Lifetime how long they last without;
	// the kernel counts whole seconds, and may be a second late and a quarter of one more
	// by its rounding (check_lifetime in net/ipv4/devinet.c).
	Renew    = 250 * time.Millisecond
	Lifetime = time.Second
	late     = 1250 * time.Millisecond
	// Gone is after how long nothing is left of an address that is not renewed. Its last
	// renewal may have been on its way to the kernel for a while: see stale.
	Gone = Lifetime + late + stale
	// stale is how old facts may be when an address is renewed because of them.
	stale = 500 * time.Millisecond
)

// Facts are how an array stands to the other one at a moment.
type Facts struct {
	// Mirrored is how many groups it shares, Alone of how many it serves hosts alone by
	// its record.
	Mirrored, Alone int
	// Contact says that it has the other's lease, PeerStandsIn that the other said, when
	// it granted it, that it holds this array's addresses.
	Contact, PeerStandsIn bool
	// Granting says that the other has a lease, or may have one.
	Granting bool
}

// Want is which addresses an array is to have.
type Want struct {
	// Own are its own ones, Others those of the other array.
	Own, Others bool
}

// Rules decide which addresses an array may have.
type Rules struct {
	// quietSince is since when nothing that was granted may run; quiet says that it is so.
	quiet      bool
	quietSince time.Time
}

// Step returns what an array may have at now, as the facts are.
func (r *Rules) Step(now time.Time, f Facts) Want {
	if f.Granting {
		r.quiet = false
	} else if !r.quiet {
		r.quiet, r.quietSince = true, now
	}
	gone := r.quiet && now.Sub(r.quietSince) >= Gone
	return Want{
		Own:    f.Mirrored == 0 || f.Alone > 0 || f.Contact && !f.PeerStandsIn,
		Others: gone && f.Mirrored > 0 && f.Alone == f.Mirrored,
	}
}
