// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// What the incumbent has and this array has not. Whoever asks for it hears why not.
func absentRoutes() []route {
	no := func(why string) func(*call) (answer, error) {
		return func(*call) (answer, error) { return answer{}, fail(wsapi.Unsupported, "", "%s", why) }
	}
	const cpg = "CPGs are part of the configuration file"
	const vlans = "VLANs are made by the operating system: give a portal an address in one"
	var all []route
	for _, x := range []struct{ method, path, why string }{
		{"POST", "/cpgs", cpg},
		{"DELETE", "/cpgs/{cpg}", cpg},
		{"GET", "/flashcache", "there is no flash cache"},
		{"POST", "/flashcache", "there is no flash cache"},
		{"DELETE", "/flashcache", "there is no flash cache"},
		{"GET", "/aoconfigurations", "pages are not moved between kinds of disks"},
		{"GET", "/volumespacedistribution/{volume}", "a volume's pages lie wherever its CPG has room"},
		{"GET", "/volumespacedistribution", "a volume's pages lie wherever its CPG has room"},
		{"GET", "/ports/{port}/iSCSIVlans", vlans},
		{"POST", "/ports/{port}/iSCSIVlans", vlans},
		{"GET", "/ports/{port}/iSCSIVlans/{vlan}", vlans},
		{"PUT", "/ports/{port}/iSCSIVlans/{vlan}", vlans},
		{"DELETE", "/ports/{port}/iSCSIVlans/{vlan}", vlans},
		{"GET", "/portdevices/{device...}", "there is no fabric: 'GET /ports' and 'GET /hosts' say who is logged in"},
		{"GET", "/systemreporter/{report...}", "figures are not kept over time"},
	} {
		all = append(all, route{method: x.method, path: x.path, right: people.Look, about: "not offered: " + x.why, status: 501, do: no(x.why)})
	}
	return all
}
