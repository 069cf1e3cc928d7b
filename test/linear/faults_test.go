// SPDX-License-Identifier: Apache-2.0

//go:build lab

package linear

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// fault is something bad that happens to a pair. hit returns what makes it good again.
type fault struct {
	name string
	hit  func(ctx context.Context, r *rig.Rig) (heal func() error, err error)
}

func nothing() error { return nil }

// faults are those that a run draws from.
func faults(rng *rand.Rand) []fault {
	kill := func(i int) func(context.Context, *rig.Rig) (func() error, error) {
		return func(ctx context.Context, r *rig.Rig) (func() error, error) {
			return func() error { return r.StartArray(ctx, i) }, r.Array(i).Kill()
		}
	}
	still := func(i int) func(context.Context, *rig.Rig) (func() error, error) {
		return func(_ context.Context, r *rig.Rig) (func() error, error) { return r.Array(i).Cont, r.Array(i).Stop() }
	}
	cut := func(from, to string, d lab.Direction, networks ...string) func(context.Context, *rig.Rig) (func() error, error) {
		return func(_ context.Context, r *rig.Rig) (func() error, error) {
			var err error
			for _, n := range networks {
				if e := r.Lab.Cut(from, to, n, d); e != nil {
					err = e
				}
			}
			return r.HealLinks, err
		}
	}
	move := func(ctx context.Context, r *rig.Rig) (func() error, error) {
		for range 3 {
			// Refused while the arrays compare their logs: then there is one less.
			_, _ = r.Command(ctx, rng.IntN(2), "setrcopygroup", "switchover", group)
		}
		return nothing, nil
	}
	return []fault{
		{"owners move", move},
		{"owners move again", move},
		{"kill array-a", kill(rig.A)},
		{"kill array-b", kill(rig.B)},
		{"array-a stands still", still(rig.A)},
		{"array-b stands still", still(rig.B)},
		{"the links are cut", func(_ context.Context, r *rig.Rig) (func() error, error) { return r.HealLinks, r.CutLinks() }},
		{"one link is cut", cut(lab.A, lab.B, lab.Both, lab.Link1)},
		{"nothing comes from a to b", cut(lab.A, lab.B, lab.OneWay, lab.Link1, lab.Link2)},
		{"nothing comes from b to a", cut(lab.B, lab.A, lab.OneWay, lab.Link1, lab.Link2)},
		{"the witness dies", func(_ context.Context, r *rig.Rig) (func() error, error) { return r.StartWitness, r.Witness().Kill() }},
		{"the witness dies, and then the links", func(_ context.Context, r *rig.Rig) (func() error, error) {
			if err := r.Witness().Kill(); err != nil {
				return nil, err
			}
			time.Sleep(2 * time.Second) // for the arrays to agree on who goes on
			return func() error {
				if err := r.StartWitness(); err != nil {
					return err
				}
				return r.HealLinks()
			}, r.CutLinks()
		}},
	}
}
