// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/test/bench/report"
)

// figures are medians, in microseconds, one of each round.
type figures struct {
	delay time.Duration
	// Writes and reads: un-mirrored, through the owner, through the other array.
	alone, owner, other             []float64
	aloneRead, ownerRead, otherRead []float64
	// trip is the round trip of a message on the links.
	trip []float64
}

// lines are what is held against budgets.
func (f figures) lines() []report.Line {
	at := fmt.Sprintf("%gms", float64(f.delay)/1e6)
	most := func(limit float64) report.Budget { return report.Budget{Sense: report.AtMost, Limit: limit} }
	mirrored, far := 1.10, 1.05
	if f.delay == 0 {
		mirrored, far = 1.25, 1.10
	}
	least := make([]float64, len(f.alone))
	for i := range least {
		least[i] = f.alone[i] + f.trip[i]
	}
	return []report.Line{
		report.Compared("write-owner-"+at, "us", f.owner, least, most(mirrored)),
		report.Compared("write-other-"+at, "us", f.other, f.owner, most(far)),
		report.Compared("read-owner-"+at, "us", f.ownerRead, f.aloneRead, most(1.05)),
		report.Compared("read-other-"+at, "us", f.otherRead, f.aloneRead, most(1.05)),
	}
}

// draw plots the writes over the length of the links.
func draw(all []figures) string {
	const width, height, left, top = 640, 360, 60, 20
	longest, highest := float64(all[len(all)-1].delay), 0.0
	for _, f := range all {
		highest = max(highest, report.Median(f.owner), report.Median(f.other))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width+left+20, height+top+50)
	fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="#333"/>`+"\n", left, top, top+height, left+width)
	for n, c := range []struct {
		name, colour string
		of           func(figures) []float64
	}{
		{"un-mirrored", "#888", func(f figures) []float64 { return f.alone }},
		{"through the owner", "#06c", func(f figures) []float64 { return f.owner }},
		{"through the other array", "#c60", func(f figures) []float64 { return f.other }},
	} {
		var path strings.Builder
		for i, f := range all {
			x := left + float64(f.delay)/longest*width
			y := top + height - report.Median(c.of(f))/highest*height
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n",
			path.String(), c.colour, left+20, top+20+16*n, c.colour, c.name)
	}
	for _, f := range all {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", left+float64(f.delay)/longest*width, top+height+18, float64(f.delay)/1e6)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">round trip of the links, ms</text><text x="4" y="%d">%.0f us</text>`+"\n</svg>\n", left+width/2-60, top+height+40, top+10, highest)
	return b.String()
}
