// SPDX-License-Identifier: Apache-2.0

//go:build lab

package linear

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// kind is what an operation does.
type kind uint8

const (
	read kind = iota
	write
	compareAndWrite
)

// input is what a host asked of a block, output what it was told. A value is the number
// of the write that left it; 0 is a block that was never written.
type input struct {
	block          int
	kind           kind
	value, compare uint64
	// again: it repeats a compare and write whose answer was lost.
	again bool
}

type output struct {
	value       uint64
	unknown     bool
	miscompared bool
}

// forever is when an operation ends whose effect may come at any time.
const forever = math.MaxInt64

// model is one block.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			by := map[int][]porcupine.Operation{}
			for _, o := range all {
				b := o.Input.(input).block
				by[b] = append(by[b], o)
			}
			var out [][]porcupine.Operation
			for _, l := range by {
				out = append(out, l)
			}
			return out
		},
		Init: func() any { return uint64(0) },
		Step: func(state, in, out any) (bool, any) {
			s, i, o := state.(uint64), in.(input), out.(output)
			switch i.kind {
			case read:
				return o.value == s, s
			case write:
				return true, i.value
			}
			switch {
			case o.miscompared:
				return s != i.compare, s
			case s == i.compare:
				return true, i.value
			}
			// One that is unknown did nothing then; one that repeats a lost one is told of
			// that one's success, if its result still stands.
			return o.unknown || i.again && s == i.value, s
		},
		DescribeOperation: func(in, out any) string {
			i, o := in.(input), out.(output)
			switch {
			case i.kind == read:
				return fmt.Sprintf("read %d", o.value)
			case i.kind == write && o.unknown:
				return fmt.Sprintf("write %d?", i.value)
			case i.kind == write:
				return fmt.Sprintf("write %d", i.value)
			case o.unknown:
				return fmt.Sprintf("%d to %d?", i.compare, i.value)
			case o.miscompared:
				return fmt.Sprintf("%d to %d: differs", i.compare, i.value)
			}
			return fmt.Sprintf("%d to %d", i.compare, i.value)
		},
	}
}

// within is how long the search may take.
const within = 5 * time.Minute

// judge returns nil if the history is linearizable. If not, or if that can't be told, it
// draws a picture of it in a file.
func judge(all []porcupine.Operation, picture string) error {
	m := model()
	res, info := porcupine.CheckOperationsVerbose(m, all, within)
	if res == porcupine.Ok {
		return nil
	}
	if err := porcupine.VisualizePath(m, info, picture); err != nil {
		return fmt.Errorf("history of %d operations: %v; draw it: %w", len(all), res, err)
	}
	return fmt.Errorf("history of %d operations: %v; it is drawn in %s", len(all), res, picture)
}
