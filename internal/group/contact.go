// SPDX-License-Identifier: Apache-2.0

package group

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// A contact is one unbroken stretch of talk between the two halves of a group. Each side
// greets with a number of its own and the number of the other's greeting that it knows. A
// contact is the pair of them: it begins at each side when that knows both, and ends when
// either greets anew. What made it is in every packet, so that one that comes late, from a
// connection that was stuck or a process that is gone, is dropped: a record of an order
// that was abandoned can't be taken for one of the order that goes on.
//
// The numbers of one process grow, and an older one than the newest is not heeded. So no
// contact comes a second time, and two sides that greet at the same moment, again and
// again, meet at the newest two.

// helloAgain is how long an answer to the greeting is waited for.
const helloAgain = 250 * time.Millisecond

// Contact: a connection to the other array is up, or it answers again; what was
// under way before may be lost.
func (g *Group) Contact() {
	g.post(func() {
		if g.greeted && g.mine != 0 && g.cfg.Now().Sub(g.begunAt) < helloAgain/4 {
			return // the same occasion
		}
		g.lostContact()
		g.greet()
	})
}

func (g *Group) greet() {
	g.mine, g.theirs = g.greeting(), 0
	g.greeted, g.begunAt, g.greetedAt = true, g.cfg.Now(), g.cfg.Now()
	g.sayHello()
}

// greeting draws a number: what is random of it tells the process from others.
func (g *Group) greeting() uint64 {
	if g.greetings == 0 {
		g.greetings = nonce() >> 32 << 32
	}
	g.greetings++
	return g.greetings
}

// sameProcess reports whether two greetings come from one process.
func sameProcess(a, b uint64) bool { return a>>32 == b>>32 }

func (g *Group) sayHello() {
	if g.mine == 0 { // a contact ended since
		g.mine = g.greeting()
	}
	p := Packet{Type: PacketHello}
	binary.BigEndian.PutUint64(p.Tag[:8], g.mine)
	g.sends = append(g.sends, p)
}

// hello takes the other side's greeting.
func (g *Group) hello(theirs, knows uint64) {
	switch {
	case theirs == 0 || sameProcess(theirs, g.newest) && theirs < g.newest:
		return
	case g.contact && theirs == g.theirs:
		if knows != g.mine {
			g.sayHello()
		}
		return
	}
	if g.contact {
		// The other side began anew, and what was said since its last greeting is void. With
		// a newer one of the same process this side's still makes a new contact.
		mine := g.mine
		g.lostContact()
		if sameProcess(theirs, g.newest) {
			g.mine = mine
		}
	}
	if g.mine == 0 {
		g.mine = g.greeting()
	}
	g.theirs, g.newest = theirs, theirs
	g.talk = talk(g.cfg.Self, g.mine, theirs)
	g.contact, g.greeted, g.toldSilent, g.contactAt = true, false, false, g.cfg.Now()
	g.openedFor = 0 // what was said in an earlier contact may be lost
	if knows != g.mine {
		g.sayHello()
	}
	g.newStretch()
	g.tellDescribed()
	g.tellLostRepeats()
	var out arb.Output
	g.m.Connected(&out)
	g.carry(&out)
	g.sayFailed()
}

// talk numbers the contact that two greetings make, the same on both sides.
func talk(self array.Side, mine, theirs uint64) uint64 {
	if self != array.SideA {
		mine, theirs = theirs, mine
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], mine)
	binary.BigEndian.PutUint64(b[8:], theirs)
	h := sha256.Sum256(b[:])
	return binary.BigEndian.Uint64(h[:8]) | 1
}

// fresh reports whether a packet belongs to the present contact.
func (g *Group) fresh(p Packet) bool {
	return g.contact && binary.BigEndian.Uint64(p.Tag[8:]) == g.talk
}

// repeatHello greets again where there was no answer, or where the other side
// answered and then did not tell its state.
func (g *Group) repeatHello(now time.Time) {
	if g.contact && !g.m.Inputs().Contact && now.Sub(g.contactAt) > 4*helloAgain {
		g.lostContact()
		g.greet()
	}
	if !g.greeted && !g.contact && g.cfg.Peer.Lease() != 0 && now.Sub(g.lostAt) > 4*helloAgain {
		g.greet() // it was lost, and yet the arrays talk
	}
	if g.greeted && !g.contact && now.Sub(g.greetedAt) > helloAgain {
		g.greetedAt = now
		g.sayHello()
	}
}
