// SPDX-License-Identifier: Apache-2.0

//go:build soak

package soak

import (
	"fmt"
	"strings"
	"time"
)

// point is a value at a time.
type point struct {
	at time.Duration
	v  float64
}

// series is one line of a panel.
type series struct {
	name, colour string
	points       []point
}

// panel is one plot of several lines over the run.
type panel struct {
	title string
	lines []series
}

// mark is a fault.
type mark struct {
	at, until time.Duration
	name      string
}

// draw plots panels one below the other; behind each, faults are shaded.
func draw(long time.Duration, panels []panel, marks []mark) string {
	const width, height, left, top, gap = 900, 120, 70, 30, 40
	x := func(at time.Duration) float64 { return left + float64(at)/float64(long)*width }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		left+width+20, top+len(panels)*(height+gap)+20)
	for n, p := range panels {
		base := top + n*(height+gap) + height
		for _, m := range marks {
			fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#fdd"><title>%s</title></rect>`+"\n",
				x(m.at), base-height, max(x(m.until)-x(m.at), 0.5), height, m.name)
		}
		highest := 1.0
		for _, s := range p.lines {
			for _, q := range s.points {
				highest = max(highest, q.v)
			}
		}
		fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="#333"/><text x="%d" y="%d">%s</text><text x="4" y="%d">%.0f</text>`+"\n",
			left, base-height, base, left+width, left, base-height-6, p.title, base-height+10, highest)
		for k, s := range p.lines {
			var path strings.Builder
			for i, q := range s.points {
				fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x(q.at), float64(base)-q.v/highest*height)
			}
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n",
				path.String(), s.colour, left+width-80*(len(p.lines)-k), base-height-6, s.colour, s.name)
		}
	}
	base := top + len(panels)*(height+gap) - gap
	for m := 0; m <= 6; m++ {
		at := long * time.Duration(m) / 6
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f min</text>`+"\n", x(at), base+16, at.Minutes())
	}
	b.WriteString("</svg>\n")
	return b.String()
}
