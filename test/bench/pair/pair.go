// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

const (
	group   = "g"
	size    = "64m"
	span    = 8 << 20 // of a volume that is used
	block   = 4096
	readyIn = time.Minute
)

// pair is a pair of arrays with one host at each way in.
type pair struct {
	*rig.Rig
	hosts []*host.Host
	// alone is an un-mirrored volume of array A; owner and other are one mirrored volume
	// through A, which owns it, and through B.
	alone, owner, other *host.Disk
	at                  int64
}

func bringUp(ctx context.Context, bin string) (p *pair, err error) {
	r, err := rig.OnDisk(bin)
	if err != nil {
		return nil, err
	}
	p = &pair{Rig: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	if err := p.StartPair(ctx); err != nil {
		return p, err
	}
	if err := p.Protect(ctx, group, 1, size); err != nil {
		return p, err
	}
	for _, c := range []string{
		"setrcopygroup pol active_active " + group,
		"createvv cpg0 alone " + size,
		"createhost at.alone iqn.2026-01.org.example:alone", "createvlun alone 0 at.alone",
		"createhost at.owner iqn.2026-01.org.example:owner", "createvlun g.0 0 at.owner",
		"createhost at.other iqn.2026-01.org.example:other", "createvlun g.0 0 at.other",
		"admitrcopyhost -proximity all g at.owner at.other",
	} {
		if _, err := p.Command(ctx, rig.A, strings.Fields(c)...); err != nil {
			return p, fmt.Errorf("%s: %w", c, err)
		}
	}
	for _, x := range []struct {
		name  string
		array int
		disk  **host.Disk
	}{{"alone", rig.A, &p.alone}, {"owner", rig.A, &p.owner}, {"other", rig.B, &p.other}} {
		h, err := p.HostNamed("iqn.2026-01.org.example:"+x.name, x.array)
		if err != nil {
			return p, err
		}
		p.hosts = append(p.hosts, h)
		disks, err := h.Wait(ctx, 1)
		if err != nil {
			return p, err
		}
		*x.disk = disks[0]
		if err := disks[0].WaitPaths(ctx, optimized); err != nil {
			return p, err
		}
	}
	return p, p.fill(ctx)
}

func optimized(paths []host.Path) bool {
	return !slices.ContainsFunc(paths, func(x host.Path) bool { return x.State != host.Optimized })
}

// fill writes what is read later.
func (p *pair) fill(ctx context.Context) error {
	b := make([]byte, host.MaxIO)
	for i := range b {
		b[i] = byte(i * 7)
	}
	for off := int64(0); off < span; off += int64(len(b)) {
		if err := errors.Join(p.alone.Write(ctx, b, off), p.owner.Write(ctx, b, off)); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) close() error {
	for _, h := range p.hosts {
		h.Close()
	}
	p.Close()
	return os.RemoveAll(p.Dir)
}

// lengthen makes the links' round trip longer by d.
func (p *pair) lengthen(d time.Duration) error {
	for _, n := range []string{lab.Link1, lab.Link2} {
		if err := p.Lab.Delay(lab.A, lab.B, n, lab.Both, d/2); err != nil {
			return err
		}
	}
	return nil
}

// turn is how many commands of a kind follow one another.
const turn = 10

// round takes every kind's turns and notes the medians.
func (p *pair) round(ctx context.Context, commands int, f *figures) error {
	kinds := []struct {
		disk  *host.Disk
		write bool
		to    *[]float64
		took  []float64
	}{
		{disk: p.alone, write: true, to: &f.alone},
		{disk: p.owner, write: true, to: &f.owner},
		{disk: p.other, write: true, to: &f.other},
		{disk: p.alone, to: &f.aloneRead},
		{disk: p.owner, to: &f.ownerRead},
		{disk: p.other, to: &f.otherRead},
	}
	trip, err := p.trip(ctx)
	if err != nil {
		return err
	}
	f.trip = append(f.trip, trip)
	b := make([]byte, block)
	for done := 0; done < commands; done += turn {
		for k := range kinds {
			x := &kinds[k]
			for range turn {
				p.at = (p.at + 37*block) % span
				began := time.Now()
				if x.write {
					err = x.disk.Write(ctx, b, p.at)
				} else {
					err = x.disk.Read(ctx, "", b, p.at)
				}
				if err != nil {
					return err
				}
				x.took = append(x.took, float64(time.Since(began))/1e3)
			}
		}
	}
	for _, x := range kinds {
		slices.Sort(x.took)
		*x.to = append(*x.to, x.took[len(x.took)/2])
	}
	return nil
}

// trip returns the shorter round trip of the links, as the owner measures it, in
// microseconds, once it knows the present one.
func (p *pair) trip(ctx context.Context) (float64, error) {
	time.Sleep(3 * time.Second) // what the arrays tell is of the last seconds
	out, err := p.Command(ctx, rig.A, "status")
	if err != nil {
		return 0, err
	}
	shortest := time.Duration(-1)
	for _, l := range strings.Split(out, "\n") {
		_, text, found := strings.Cut(l, "up, round trip ")
		if !found {
			continue
		}
		d, err := time.ParseDuration(strings.Fields(text)[0])
		if err == nil && (shortest < 0 || d < shortest) {
			shortest = d
		}
	}
	if shortest < 0 {
		return 0, fmt.Errorf("status tells no round trip: %q", out)
	}
	return float64(shortest) / 1e3, nil
}
