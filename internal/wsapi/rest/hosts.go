// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func hostRoutes() []route {
	return []route{
		{method: "GET", path: "/hosts", right: people.Look, about: "the hosts", out: collection[host]{}, query: filtered, do: getHosts},
		{method: "POST", path: "/hosts", right: people.Make, about: "define a host, on both arrays", in: newHost{}, status: 201, do: postHost},
		{method: "GET", path: "/hosts/{host}", right: people.Look, about: "one of them", out: host{}, do: getHost},
		{method: "PUT", path: "/hosts/{host}", right: people.Change, about: "change it, on both arrays", in: hostMods{}, do: putHost},
		{method: "DELETE", path: "/hosts/{host}", right: people.Change, about: "remove it, on both arrays", do: deleteHost},
		{method: "GET", path: "/hostpersonas", right: people.Look, about: "how hosts want to be answered", out: collection[persona]{}, query: filtered, do: getPersonas},
		{method: "GET", path: "/hostpersonas/{persona}", right: people.Look, about: "one of them", out: persona{}, do: getPersona},
	}
}

type host struct {
	ID          uint32          `json:"id"`
	Name        string          `json:"name"`
	Persona     int             `json:"persona"`
	Domain      string          `json:"domain,omitempty"`
	Descriptors hostDescriptors `json:"descriptors"`
	FCPaths     []fcPath        `json:"FCPaths"`
	ISCSIPaths  []iscsiPath     `json:"iSCSIPaths"`
	CHAPEnabled bool            `json:"initiatorChapEnabled"`
	CHAPName    string          `json:"initiatorChapName,omitempty"`
	TargetCHAP  bool            `json:"targetChapEnabled"`
	HostSets    []string        `json:"hostSets,omitempty"`
	Links       []link          `json:"links"`
}

type hostDescriptors struct {
	Location string `json:"location,omitempty"`
	IPAddr   string `json:"IPAddr,omitempty"`
	OS       string `json:"os,omitempty"`
	Model    string `json:"model,omitempty"`
	Contact  string `json:"contact,omitempty"`
	Comment  string `json:"comment,omitempty"`
}

type fcPath struct {
	WWN string `json:"wwn"`
}

// iscsiPath is an initiator, once for each session that it has with this array, or once
// without a port.
type iscsiPath struct {
	Name      string   `json:"name"`
	PortPos   *portPos `json:"portPos,omitempty"`
	IPAddr    string   `json:"IPAddr,omitempty"`
	HostSpeed int      `json:"hostSpeed"`
}

func hostOf(f node.HostFact) host {
	d := f.Descriptors
	h := host{
		ID: array.NumberOfName(f.Name), Name: f.Name, Domain: f.Domain, Persona: personaNumber(f.Persona), FCPaths: []fcPath{}, ISCSIPaths: []iscsiPath{}, HostSets: f.Sets,
		Descriptors: hostDescriptors{Location: d["loc"], IPAddr: d["ip"], OS: d["os"], Model: d["model"], Contact: d["contact"], Comment: d["comment"]},
		CHAPEnabled: f.CHAP != "", CHAPName: f.CHAP, Links: []link{{base + "/hosts/" + f.Name, "self"}},
	}
	for _, i := range f.Initiators {
		found := false
		for _, p := range f.Paths {
			if p.Initiator == i {
				found = true
				h.ISCSIPaths = append(h.ISCSIPaths, iscsiPath{Name: i, PortPos: hostPort(p.Port), IPAddr: p.Address})
			}
		}
		if !found {
			h.ISCSIPaths = append(h.ISCSIPaths, iscsiPath{Name: i})
		}
	}
	return h
}

func getHosts(c *call) (answer, error) {
	facts, err := c.array().Hosts()
	if err != nil {
		return answer{}, err
	}
	all := make([]host, len(facts))
	for i, f := range facts {
		all[i] = hostOf(f)
	}
	return collect(c, all)
}

func findHost(c *call) (f node.HostFact, err error) {
	which, err := c.named("host")
	if err != nil {
		return f, err
	}
	facts, err := c.array().Hosts()
	if err != nil {
		return f, err
	}
	for _, f := range facts {
		if f.Name == which {
			return f, nil
		}
	}
	return f, fail(wsapi.NoHost, "", "host %s does not exist", which)
}

func getHost(c *call) (answer, error) {
	f, err := findHost(c)
	if err != nil {
		return answer{}, err
	}
	return ok(hostOf(f))
}

type newHost struct {
	Name          string           `json:"name"`
	Persona       *int             `json:"persona,omitempty"`
	ISCSINames    []string         `json:"iSCSINames,omitempty"`
	FCWWNs        []string         `json:"FCWWNs,omitempty"`
	Domain        string           `json:"domain,omitempty"`
	Descriptors   *hostDescriptors `json:"descriptors,omitempty"`
	ForceTearDown bool             `json:"forceTearDown,omitempty"`
}

// words are the options for what people wrote of it.
func (d *hostDescriptors) words() (words []string, err error) {
	if d == nil {
		return nil, nil
	}
	for _, x := range []struct{ ref, option, text string }{
		{"location", "loc", d.Location},
		{"IPAddr", "ip", d.IPAddr},
		{"os", "os", d.OS},
		{"model", "model", d.Model},
		{"contact", "contact", d.Contact},
		{"comment", "comment", d.Comment},
	} {
		if err := text("descriptors."+x.ref, x.text, 254); err != nil {
			return nil, err
		}
		if x.text != "" {
			words = append(words, "-"+x.option+"="+x.text)
		}
	}
	return words, nil
}

// iscsiNames finds out whether all could be initiators' names.
func iscsiNames(names, wwns []string) error {
	switch {
	case len(names) > 0 && len(wwns) > 0:
		return fail(wsapi.ParamConflict, "FCWWNs", "FCWWNs and iSCSINames are both there")
	case len(wwns) > 0:
		return fail(wsapi.Unsupported, "FCWWNs", "hosts have iSCSI names here")
	}
	for _, n := range names {
		switch {
		case n == "":
			return fail(wsapi.EmptyString, "iSCSINames", "an iSCSI name is empty")
		case len(n) > 223:
			return fail(wsapi.TooLong, "iSCSINames", "an iSCSI name has %d bytes: want at most 223", len(n))
		case len(n) < 5 || n[:4] != "iqn." && n[:4] != "eui." && n[:4] != "naa.":
			return fail(wsapi.BadInput, "iSCSINames", "%.80q is no iSCSI name: want iqn., eui. or naa.", n)
		}
		if err := text("iSCSINames", n, 223); err != nil {
			return err
		}
	}
	return nil
}

func postHost(c *call) (answer, error) {
	var in newHost
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("name", in.Name); err != nil {
		return answer{}, err
	}
	into, err := c.inDomain(in.Domain)
	if err != nil {
		return answer{}, err
	}
	if err := iscsiNames(in.ISCSINames, in.FCWWNs); err != nil {
		return answer{}, err
	}
	if len(in.ISCSINames) == 0 {
		return answer{}, fail(wsapi.OneRequired, "iSCSINames", "iSCSINames are missing: a host has one at least")
	}
	words, err := in.Descriptors.words()
	if err != nil {
		return answer{}, err
	}
	words = append(append([]string{"createhost"}, into...), words...)
	if in.Persona != nil {
		p, err := personaWord(*in.Persona)
		if err != nil {
			return answer{}, err
		}
		words = append(words, "-persona", p)
	}
	if err := c.run(append(append(words, in.Name), in.ISCSINames...)...); err != nil {
		return answer{}, err
	}
	return created(base + "/hosts/" + in.Name)
}

func deleteHost(c *call) (answer, error) {
	f, err := findHost(c)
	if err != nil {
		return answer{}, err
	}
	if err := c.run("removehost", "-f", f.Name); err != nil {
		if array.ReasonOf(err) == array.InSet {
			return answer{}, fail(wsapi.HostInSet, "", "%v", err)
		}
		return answer{}, err
	}
	return done("")
}
