// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/vfs"
)

// quiet plays in a pair without hosts, whose owner is A.
func quiet(t *testing.T, play func(w *world, a, b *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, 1, sound, 0, 0) // reads are of the disk
		defer w.end()
		w.hosts, w.net.delay = nil, 2*time.Millisecond
		w.run(4 * time.Second)
		play(w, w.m[0], w.m[1])
	})
}

// again boots an array anew, with what was set for it.
func (w *world) again(m *machine) {
	w.kill(m, true)
	w.boot(m)
	for n := 0; ; n++ {
		w.run(100 * time.Millisecond)
		if ok, text := w.whole(); ok {
			break
		} else if n > 200 {
			w.failf("not whole after a restart:\n%s", text)
		}
	}
	w.run(2 * time.Second) // the witness is armed again
	if i, err := w.m[0].p.g.Info(); err != nil || !i.Serving {
		w.must(w.m[1].p.g.Switchover())
		w.run(time.Second)
	}
}

// stamp is what a block of 4 KiB of volume 1 holds after write n; its neighbours in a
// page are three others.
func stamp(b int, n byte) []byte {
	out := bytes.Repeat([]byte{n}, blockSize)
	binary.LittleEndian.PutUint64(out, uint64(b)|0x5ca1ab1e<<32)
	return out
}

// begin gives an array a command and returns where the answer comes.
func (w *world) begin(m *machine, f func(u *group.Unit, op *scsi.Op, done func(error))) chan error {
	out := make(chan error, 1)
	u := m.p.units[0]
	f(u, &scsi.Op{ID: 1, Arrived: w.arrives(), Generation: u.Reservations().Revision, Nexus: reservation.Nexus{Initiator: "iqn.x:f,i,0x1", Port: uint16(1 + 256*int(m.side))}}, func(err error) { out <- err })
	return out
}

// await lets time pass until there is an answer.
func (w *world) await(out chan error) error {
	for range 1000 {
		select {
		case err := <-out:
			return err
		default:
			w.run(step)
		}
	}
	w.failf("a command is not answered")
	return nil
}

// arrives is when a command comes; of a mutant it is never long ago.
func (w *world) arrives() time.Time {
	if w.mutant == ageless {
		return time.Now().Add(time.Hour)
	}
	return time.Now()
}

func (w *world) write(m *machine, b int, n byte) chan error {
	buf, ok := m.p.buffers.Get(blockSize)
	if !ok {
		w.failf("no buffer")
	}
	copy(buf.Bytes(), stamp(b, n))
	return w.begin(m, func(u *group.Unit, op *scsi.Op, done func(error)) {
		u.Mutate(op, scsi.Mutation{Kind: scsi.Write, Offset: int64(b) * blockSize, Length: blockSize, Data: buf}, done)
	})
}

func (w *world) read(m *machine, b, count int) ([]byte, error) {
	dst := make([]byte, count*blockSize)
	err := w.await(w.begin(m, func(u *group.Unit, op *scsi.Op, done func(error)) { u.Read(op, int64(b)*blockSize, dst, done) }))
	return dst, err
}

// reads makes sure that blocks are as they were written.
func (w *world) reads(m *machine, want map[int]byte) {
	w.t.Helper()
	for b, n := range want {
		got, err := w.read(m, b, 1)
		w.must(err)
		if !bytes.Equal(got, stamp(b, n)) {
			w.failf("%v: block %d is not write %d but %x", m.side, b, n, got[:16])
		}
	}
}

// damage turns a bit over in all that an array's pages ever held of a block.
func (w *world) damage(m *machine, b int) {
	w.t.Helper()
	f, err := m.fs.Open("pool/pages", vfs.ReadOnly)
	w.must(err)
	defer f.Close()
	size, err := f.Size()
	w.must(err)
	buf, hit := vfs.NewBuffer(blockSize), false
	for off := int64(0); off < size; off += blockSize {
		_, err := f.ReadAt(buf, off)
		w.must(err)
		if binary.LittleEndian.Uint64(buf) == uint64(b)|0x5ca1ab1e<<32 {
			w.must(m.fs.Flip("pool/pages", (off+100)*8))
			hit = true
		}
	}
	if !hit {
		w.failf("%v has nothing of block %d on pages", m.side, b)
	}
}

// flush puts on pages what both have applied.
func (w *world) flush(ms ...*machine) {
	for _, m := range ms {
		w.must(m.p.pool.Flush(groupID))
	}
}

func (w *world) said(text string) int { return strings.Count(w.told(), text) }

// sound reports whether an array's page of the block is good on disk.
func (m *machine) good(b int) bool {
	_, err := m.p.pool.Volume(1).Stored(int64(b)*blockSize/block.Page, make([]byte, block.Page))
	return err == nil
}

func TestRepair(t *testing.T) {
	quiet(t, func(w *world, a, b *machine) {
		w.must(w.await(w.write(a, 0, 1)))
		w.must(w.await(w.write(a, 1, 2)))
		w.run(time.Second)
		w.damage(a, 0)
		w.reads(a, map[int]byte{0: 1, 1: 2})
		if !a.good(0) || w.said("volume v0 page 0 was damaged on array A and was repaired from array B") != 1 {
			w.failf("not repaired, or not told")
		}
		// The other way: what the standby meets, here by itself.
		w.damage(b, 1)
		b.p.g.Damaged(1, 0)
		w.run(time.Second)
		if !b.good(1) || w.said("was damaged on array B and was repaired from array A") != 1 {
			w.failf("not repaired, or not told")
		}
		if ok, text := w.whole(); !ok {
			w.failf("not whole: %s", text)
		}
	})
}

// TestRepairWhenBirthsDiffer: one array destaged a later write to the page than the other.
func TestRepairWhenBirthsDiffer(t *testing.T) {
	for _, lazy := range []array.Side{array.SideA, array.SideB} {
		quiet(t, func(w *world, a, b *machine) {
			w.m[lazy].age = -1 // destages only when it is asked to
			w.again(w.m[lazy])
			w.must(w.await(w.write(a, 0, 1)))
			w.run(time.Second)
			w.flush(a, b)
			if lazy == array.SideA {
				w.damage(a, 0)
			}
			w.must(w.await(w.write(a, 1, 2)))
			w.run(time.Second)
			if lazy == array.SideB {
				w.damage(a, 0)
			}
			at := func(m *machine) array.Place {
				birth, _ := m.p.pool.Volume(1).Stored(0, make([]byte, block.Page))
				return birth
			}
			if (at(a) > at(b)) != (lazy == array.SideB) || at(a) == at(b) {
				w.failf("page 0 is born at %d and %d", at(a), at(b))
			}
			w.reads(a, map[int]byte{0: 1, 1: 2})
			if !a.good(0) || at(a) != at(b) {
				w.failf("page 0 is good %v, born at %d and %d", a.good(0), at(a), at(b))
			}
			w.flush(a, b)
			w.reads(a, map[int]byte{0: 1, 1: 2})
		})
	}
}

// TestBothDamaged: no copy is good, so the read fails; nobody stands aside for it, and a
// write makes it good.
func TestBothDamaged(t *testing.T) {
	quiet(t, func(w *world, a, b *machine) {
		w.must(w.await(w.write(a, 0, 1)))
		w.must(w.await(w.write(a, 1, 2)))
		w.run(time.Second)
		w.damage(a, 0)
		w.damage(b, 0)
		for range 2 {
			if _, err := w.read(a, 0, 1); array.KindOf(err) != array.Medium {
				w.failf("read of what is damaged on both: %v", err)
			}
		}
		w.reads(a, map[int]byte{1: 2})
		if ok, text := w.whole(); !ok || w.said("it is damaged on both arrays") != 1 {
			w.failf("not whole, or not told once: %s", text)
		}
		w.must(w.await(w.write(a, 0, 3)))
		w.run(time.Second)
		w.reads(a, map[int]byte{0: 3, 1: 2})
		if !a.good(0) || !b.good(0) {
			w.failf("not good after a write")
		}
	})
}

// TestRepairWhenThePeerReturns: alone, a read of a damaged page fails; beside the other
// array it is repaired.
func TestRepairWhenThePeerReturns(t *testing.T) {
	quiet(t, func(w *world, a, b *machine) {
		w.must(w.await(w.write(a, 0, 1)))
		w.run(time.Second)
		w.kill(b, true)
		w.run(3 * time.Second)
		w.damage(a, 0)
		if _, err := w.read(a, 0, 1); array.KindOf(err) != array.Medium {
			w.failf("read of a damaged page, alone: %v", err)
		}
		w.must(w.await(w.write(a, 1, 2))) // a destage over the damage
		w.run(time.Second)
		if _, err := w.read(a, 0, 1); array.KindOf(err) != array.Medium {
			w.failf("read of a damaged page, alone, after a destage: %v", err)
		}
		w.boot(b)
		w.run(8 * time.Second)
		w.reads(a, map[int]byte{0: 1, 1: 2})
		if !a.good(0) {
			w.failf("not repaired")
		}
	})
}

// TestAWriteDuringTheRepair: what a host writes while the answer is on its way stays.
func TestAWriteDuringTheRepair(t *testing.T) {
	for _, delay := range []time.Duration{time.Millisecond, 15 * time.Millisecond, 40 * time.Millisecond} {
		quiet(t, func(w *world, a, b *machine) {
			for i := range 4 {
				w.must(w.await(w.write(a, i, byte(i+1))))
			}
			w.run(time.Second)
			w.damage(a, 0)
			w.damage(a, 2)
			w.net.delay = delay
			dst := make([]byte, 4*blockSize)
			read := w.begin(a, func(u *group.Unit, op *scsi.Op, done func(error)) { u.Read(op, 0, dst, done) })
			for n := range byte(20) {
				w.must(w.await(w.write(a, 1, 100+n)))
				if n%4 == 1 {
					w.flush(a)
				}
				if n == 10 {
					w.must(w.await(w.write(a, 2, 77)))
				}
			}
			w.must(w.await(read))
			if !bytes.Equal(dst[:blockSize], stamp(0, 1)) || !bytes.Equal(dst[3*blockSize:], stamp(3, 4)) {
				w.failf("the read returned something else")
			}
			w.run(time.Second)
			w.flush(a, b)
			w.reads(a, map[int]byte{0: 1, 1: 119, 2: 77, 3: 4})
			if !a.good(0) {
				w.failf("not repaired")
			}
		})
	}
}

// TestReadThroughAndStandAside: a full pool can't take the repaired page. It is read
// through the other array; where that doesn't answer either, the array stands aside, and
// comes back when the page is healed.
func TestReadThroughAndStandAside(t *testing.T) {
	quiet(t, func(w *world, a, b *machine) {
		w.must(w.await(w.write(a, 0, 1)))
		w.must(w.await(w.write(a, 5, 2)))
		w.run(time.Second)
		a.limit = 2 * blockSize // each of the pages has one block
		w.again(a)
		w.damage(a, 0)
		dst, err := w.read(a, 0, 8)
		w.must(err)
		if !bytes.Equal(dst[:blockSize], stamp(0, 1)) || !bytes.Equal(dst[5*blockSize:6*blockSize], stamp(5, 2)) {
			w.failf("read through the other array: not what was written")
		}
		if ok, _ := w.whole(); !ok || a.good(0) {
			w.failf("the pair is whole %v, the page good %v", ok, a.good(0))
		}
		w.loseMends.Store(true)
		if got, err := w.read(a, 0, 1); err == nil || array.KindOf(err) == array.Medium {
			w.failf("an array that stands aside answers %x, %v", got[:8], err)
		}
		w.run(3 * time.Second)
		if i, err := b.p.g.Info(); err != nil || !i.Serving || i.Record.Members != array.OnlyB {
			w.failf("B does not go on alone: %v", i.Record)
		}
		w.reads(b, map[int]byte{0: 1, 5: 2})
		w.run(12 * time.Second)
		if i, _ := b.p.g.Info(); i.Record.Members != array.OnlyB {
			w.failf("A is back, though its page is bad: %v", i.Record)
		}
		w.loseMends.Store(false)
		w.must(w.await(w.begin(b, func(u *group.Unit, op *scsi.Op, done func(error)) {
			u.Mutate(op, scsi.Mutation{Kind: scsi.Unmap, Offset: block.Page, Length: block.Page}, done) // makes room
		})))
		w.run(20 * time.Second)
		if ok, text := w.whole(); !ok || !a.good(0) || w.said("takes part again") != 1 {
			w.failf("A does not return: %s", text)
		}
	})
}

// TestVerify compares under load: nothing differs. Damage on either side is repaired;
// where both are good and differ, it is told and left alone.
func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, sound)
		defer w.end()
		w.run(8 * time.Second)
		broken := sync.OnceFunc(func() { w.m[1].p.g.Contact() }) // a connection beside others broke
		verify := func() group.Verified {
			t.Helper()
			out, failed := make(chan group.Verified, 1), make(chan error, 1)
			go func() {
				v, err := w.m[1].p.g.Verify(context.Background(), 0, func(group.Verified) { broken() })
				out <- v
				failed <- err
			}()
			for {
				select {
				case v := <-out:
					w.must(<-failed)
					return v
				default:
					w.run(step)
				}
			}
		}
		v := verify()
		if v.Done != v.Total || v.Total != volumes*size/block.Page || v.Pages == 0 || v.Different+v.Repaired+v.Damaged != 0 {
			w.failf("under load: %+v", v)
		}
		w.hosts = nil
		w.run(3 * time.Second)
		owner := w.m[0]
		if i, _ := owner.p.g.Info(); !i.Serving {
			owner = w.m[1]
		}
		for i := range 8 {
			w.must(w.await(w.write(owner, 200+4*i, byte(i+1))))
		}
		w.run(time.Second)
		w.damage(w.m[0], 200)
		w.damage(w.m[1], 204)
		w.damage(w.m[0], 208)
		w.damage(w.m[1], 208)
		var i group.Info
		for onPages := true; onPages; { // until one is applied on both, and not on pages yet
			w.must(w.await(w.write(owner, 240, 1)))
			w.run(4 * step)
			var err error
			i, err = w.m[0].p.g.Info()
			w.must(err)
			onPages = w.m[0].p.pool.Destaged(groupID) >= i.Applied
		}
		rogue := bytes.Repeat([]byte{9}, blockSize)
		w.must(w.m[0].p.pool.Volume(1).Apply(journal.Record{
			Group: groupID, Pos: array.Position{Place: i.Applied}, Kind: journal.Data, Volume: 1, Offset: 212 * blockSize, Length: blockSize, Payload: rogue,
		}))
		w.run(time.Second)
		v = verify()
		if v.Repaired != 2 || v.Different != 1 || v.Damaged != 1 || v.Unsettled != 0 || w.said("a person must find out which copy is right") != 1 {
			w.failf("%+v", v)
		}
		if v = verify(); v.Repaired != 0 || v.Different != 1 || v.Damaged != 1 {
			w.failf("again: %+v", v)
		}
	})
}

// TestStrangeQuestions: what the other array sends is not believed.
func TestStrangeQuestions(t *testing.T) {
	quiet(t, func(w *world, a, b *machine) {
		w.must(w.await(w.write(a, 0, 1)))
		w.run(time.Second)
		i, err := a.p.g.Info()
		w.must(err)
		for _, typ := range []group.PacketType{group.PacketWant, group.PacketMend} {
			for _, vol := range []array.VolumeID{0, 1, 99} {
				for _, off := range []int64{-1, 0, 1 << 50, 1<<63 - 1, -1 << 63} {
					for _, what := range []int64{-1, 0, 1, 2, 3, 4, 99} {
						for _, n := range []int{0, 20, block.Page} {
							p := group.Packet{Type: typ, Epoch: i.View.Epoch, Volume: vol, Offset: off, Length: what, Body: make([]byte, n), Pos: array.Position{Place: 1 << 63}}
							binary.BigEndian.PutUint64(p.Tag[8:], a.p.number.Load())
							a.p.g.Receive(p)
						}
					}
				}
			}
		}
		w.run(time.Second)
		w.reads(a, map[int]byte{0: 1})
		if ok, text := w.whole(); !ok {
			w.failf("%s", fmt.Sprint("not whole: ", text))
		}
	})
}
