// SPDX-License-Identifier: Apache-2.0

package group

// How people are told of a group, or of the un-mirrored volume that it is.

// what is the group as people know it.
func (g *Group) what() string {
	if l := g.label.Load(); l != nil {
		return *l
	}
	return g.cfg.what()
}

func (c *Config) what() string {
	if c.Volume != "" {
		return "volume " + c.Volume
	}
	return "group " + c.Name
}

// Called gives the un-mirrored volume that the group is of another name.
func (g *Group) Called(volume string) {
	text := "volume " + volume
	g.label.Store(&text)
}

func (g *Group) event(text string) {
	if g.cfg.Event != nil {
		g.cfg.Event(g.what() + ": " + text)
	}
}

// alarm tells of what leaves hosts with less than they are to have.
func (g *Group) alarm(text string) {
	if g.cfg.Alarm == nil {
		g.event(text)
		return
	}
	g.cfg.Alarm(g.what() + ": " + text)
}
