// SPDX-License-Identifier: Apache-2.0

package group

import (
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/volume"
)

// A copy to the other array stops at a page that neither array can read: what it held is lost, by
// two failures, until hosts overwrite it. The array does not stop trying, since they may; but
// between two attempts it rests, and tells of a page once.

// copyRests is for how long no copy is begun after one that stopped so.
const copyRests = 5 * time.Second

// copyStuck is where the last copy stopped.
type copyStuck struct {
	page damage
	why  string
	next time.Time // when a copy may begin again; zero: it did not stop so
}

// copyStopped notes why a copy ended before its time.
func (g *Group) copyStopped(u *Unit, err error) {
	var bad *volume.Bad
	if !errors.As(err, &bad) {
		return
	}
	page := damage{bad.Volume, bad.Page}
	why := fmt.Sprintf("its copy stops at page %d of volume %s, which no array can read: it goes on when hosts have overwritten the page, or the volume is removed", bad.Page, u.id.Name)
	if g.copyStuck.next.IsZero() || g.copyStuck.page != page {
		g.alarm("the other array is not taken back: " + why)
	}
	g.copyStuck = copyStuck{page, why, g.cfg.Now().Add(copyRests)}
}
