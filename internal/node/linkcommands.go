// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/pair"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

func linkCommands() []command {
	always := func([]string) bool { return true }
	return []command{
		{name: "statrcopy", right: people.Look, usage: "statrcopy [-hb] [-u k|m|g] [-iter <n>] [-d <seconds>]", about: "what goes over the links, and with -hb how long heartbeats take there and back", run: statRCopy},
		{name: "showrctransport", right: people.Look, usage: "showrctransport [-rcip|-rcfc]", about: "lists this array's addresses for links, and what is at their other ends", run: showTransport},
		{name: "checkrclink", right: people.Maintain, usage: "checkrclink [-time <seconds>] [-size <KiB>] <N:S:P>|<link>", about: "sends data over a link for a while, beside what hosts write, and measures rate, round trips and errors", free: always, run: checkLink},
	}
}

// linkStatus are the links, by name.
func linkStatus(p *pair.Pair) map[string]link.Status {
	all := map[string]link.Status{}
	for _, s := range p.Peer().Status() {
		all[s.Name] = s
	}
	return all
}

const (
	maxIterations = 60
	maxInterval   = 60
)

// turnsWithin looks at how often and how far apart figures are to be shown.
func turnsWithin(command string, turns, every int) error {
	switch {
	case turns < 1 || turns > maxIterations:
		return array.Errorf(array.Invalid, "%s -iter %d: want 1 to %d", command, turns, maxIterations)
	case every < 1 || every > maxInterval:
		return array.Errorf(array.Invalid, "%s -d %d: want 1 to %d seconds", command, every, maxInterval)
	}
	return nil
}

func statRCopy(n *Node, ctx context.Context, a *args) error {
	beats, unit := a.flags.Bool("hb", false, ""), a.flags.String("u", "k", "")
	turns, every := a.flags.Int("iter", 1, ""), a.flags.Int("d", 2, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	shift, is := map[string]uint{"k": 10, "m": 20, "g": 30}[*unit]
	if !is {
		return array.Errorf(array.Invalid, "statrcopy -u %.20q: want k, m or g", *unit)
	}
	if err := turnsWithin("statrcopy", *turns, *every); err != nil {
		return err
	}
	p := n.other()
	if p == nil {
		return array.Errorf(array.NotFound, "array %s has no target", n.cfg.Name).Because(array.NoTarget)
	}
	was, at := linkStatus(p), time.Now()
	for range *turns {
		if !pause(ctx, time.Duration(*every)*time.Second) {
			return ctx.Err()
		}
		now, took := linkStatus(p), time.Since(at)
		n.statLinks(a, was, now, took, shift, *beats)
		was, at = now, at.Add(took)
	}
	if *beats {
		n.beatRanges(a, p)
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d)/float64(time.Millisecond)) }

// statLinks is one turn of statrcopy.
func (n *Node) statLinks(a *args, was, now map[string]link.Status, took time.Duration, shift uint, beats bool) {
	names := map[uint]string{10: "KB/s", 20: "MB/s", 30: "GB/s"}
	columns := []string{"Target", "Node", "Address", "Status", ">Sent_" + names[shift], ">Recv_" + names[shift]}
	if beats {
		columns = append(columns, ">Hb_Cur_ms", ">Hb_Avg_ms", ">Hb_Min_ms", ">Hb_Max_ms", ">Beats")
	}
	t := table.New(columns...)
	p := n.other()
	f, ok := n.Target()
	if !ok || p == nil {
		return
	}
	var sentAll, recvAll float64
	for _, l := range f.Links {
		rate := func(now, was uint64) float64 {
			return float64(now-min(now, was)) / took.Seconds() / float64(uint64(1)<<shift)
		}
		sent, recv := rate(now[l.Name].SentBytes, was[l.Name].SentBytes), rate(now[l.Name].RecvBytes, was[l.Name].RecvBytes)
		sentAll, recvAll = sentAll+sent, recvAll+recv
		up := "Down"
		if l.Up {
			up = "Up"
		}
		row := []any{f.Name, linkPort(l.Port - 1), l.Remote, up, fmt.Sprintf("%.1f", sent), fmt.Sprintf("%.1f", recv)}
		if beats {
			b := p.Beats(l.Name)
			avg := time.Duration(0)
			if b.Count > 0 {
				avg = b.Sum / time.Duration(b.Count)
			}
			row = append(row, ms(b.Last), ms(avg), ms(b.Min), ms(b.Max), b.Count)
		}
		t.Row(row...)
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()), nil, nil, nil, fmt.Sprintf("%.1f", sentAll), fmt.Sprintf("%.1f", recvAll))
	a.table(t)
}

// beatRanges says how many heartbeats took how long, since this array has the target.
func (n *Node) beatRanges(a *args, p *pair.Pair) {
	columns := []string{"Target", "Node"}
	edges := pair.BeatEdges()
	for _, e := range edges {
		columns = append(columns, ">to_"+e.String())
	}
	columns = append(columns, ">over_"+edges[len(edges)-1].String())
	t := table.New(columns...)
	f, _ := n.Target()
	for _, l := range f.Links {
		row := []any{f.Name, linkPort(l.Port - 1)}
		for _, count := range p.Beats(l.Name).Ranges {
			row = append(row, count)
		}
		t.Row(row...)
	}
	a.title("")
	a.table(t)
}

func showTransport(n *Node, _ context.Context, a *args) error {
	ip, fc := a.flags.Bool("rcip", false, ""), a.flags.Bool("rcfc", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	if *ip && *fc {
		return array.Errorf(array.Invalid, "showrctransport: want one of -rcip and -rcfc; usage: %s", a.cmd.usage)
	}
	t := table.New("N:S:P", "State", "HwAddr", "IPAddr", "PeerIPAddress", "Netmask", "Gateway", ">MTU", "Rate")
	f, _ := n.Target()
	for _, l := range n.linkPorts() {
		if *fc {
			break // there is none
		}
		hardware, mask, mtu := interfaceOf(l.Listen)
		row := func(state, remote string) {
			t.Row(linkPort(l.port-1), state, hardware, l.Listen, remote, mask, "-", mtu, "-")
		}
		any := false
		for _, x := range f.Links {
			if x.Port == l.port {
				any = true
				state := "incomplete"
				if x.Up {
					state = "ready"
				}
				row(state, x.Remote)
			}
		}
		if !any {
			row("free", "-")
		}
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}

// interfaceOf is what this machine knows of the network interface that has an address.
func interfaceOf(address string) (hardware, mask, mtu string) {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	all, e := net.Interfaces()
	if err != nil || e != nil || ip == nil {
		return "-", "-", "-"
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, at := range addrs {
			if x, is := at.(*net.IPNet); is && x.Contains(ip) && (x.IP.Equal(ip) || x.IP.IsLoopback()) {
				hardware = i.HardwareAddr.String()
				if hardware == "" {
					hardware = "-"
				}
				return hardware, net.IP(x.Mask).String(), fmt.Sprint(i.MTU)
			}
		}
	}
	return "-", "-", "-"
}

const (
	defaultCheckSeconds = 10
	maxCheckSeconds     = 3600
)

func checkLink(n *Node, _ context.Context, a *args) error {
	if len(a.rest) > 0 && slices.Contains([]string{"startclient", "stopclient", "startserver", "stopserver", "portconn"}, a.rest[0]) {
		return array.Errorf(array.Invalid, "checkrclink %s: the other array answers by itself: 'checkrclink 0:0:1' measures the link of that port", a.rest[0])
	}
	long, size := a.flags.Int("time", defaultCheckSeconds, ""), a.flags.Int("size", 64, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	p := n.other()
	f, ok := n.Target()
	i := slices.IndexFunc(f.Links, func(l LinkFact) bool { return l.Name == a.rest[0] || linkPort(l.Port-1) == a.rest[0] })
	switch {
	case !ok || p == nil:
		return array.Errorf(array.NotFound, "array %s has no target", n.cfg.Name).Because(array.NoTarget)
	case i < 0:
		return array.Errorf(array.NotFound, "link %.40s does not exist: 'showrcopy links' lists them", a.rest[0])
	case *long < 1 || *long > maxCheckSeconds:
		return array.Errorf(array.Invalid, "checkrclink -time %d: want 1 to %d seconds", *long, maxCheckSeconds)
	case *size < 1 || *size<<10 > pair.MaxProbe:
		return array.Errorf(array.Invalid, "checkrclink -size %d: want 1 to %d KiB", *size, pair.MaxProbe>>10)
	}
	l := f.Links[i]
	a.waits("check_link", l.Name, func(ctx context.Context) error {
		r, err := p.Probe(ctx, l.Name, *size<<10, time.Duration(*long)*time.Second)
		if err != nil {
			return fmt.Errorf("measure link %s: %w", l.Name, err)
		}
		if r.Heard == 0 {
			return array.Errorf(array.Unavailable, "link %s to array %s: none of %d pieces was answered", l.Name, f.Name, r.Pieces)
		}
		at := func(share float64) time.Duration { return r.Trips[int(share*float64(len(r.Trips)-1))] }
		lost := r.Pieces - r.Heard
		var b strings.Builder
		fmt.Fprintf(&b, "link %s (%s) to array %s at %s: %.1f MiB/s, %d pieces of %d KiB in %.1f s, %d lost, %d damaged\n",
			l.Name, linkPort(l.Port-1), f.Name, l.Remote, float64(r.Bytes)/(1<<20)/r.Took.Seconds(), r.Pieces, *size, r.Took.Seconds(), lost, r.Damaged)
		fmt.Fprintf(&b, "round trips with %d on their way: least %s ms, half within %s, 99 of 100 within %s, most %s\n",
			pair.ProbesOut, ms(at(0)), ms(at(0.5)), ms(at(0.99)), ms(at(1)))
		a.out.WriteString(b.String())
		if lost+r.Damaged > 0 {
			return array.Errorf(array.Unavailable, "link %s lost %d pieces, and %d were damaged", l.Name, lost, r.Damaged)
		}
		return nil
	})
	return nil
}
