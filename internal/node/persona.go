// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
)

// Persona is what kind of host somebody is: how it wants to be answered.
type Persona struct {
	// ID is its number for the command line, Assigned the one in the REST interface.
	ID, Assigned int
	Name         string
	// ALUA: the host knows of asymmetric access to units.
	ALUA bool
	// LUNNews: it is told by a unit attention that its units are others.
	LUNNews bool
}

// Personas are the incumbent's.
func Personas() []Persona {
	return []Persona{
		{ID: 1, Assigned: 1, Name: "Generic", LUNNews: true},
		{ID: 2, Assigned: 2, Name: "Generic-ALUA", ALUA: true, LUNNews: true},
		{ID: 6, Assigned: 3, Name: "Generic-legacy"},
		{ID: 7, Assigned: 4, Name: "HPUX-legacy"},
		{ID: 8, Assigned: 5, Name: "AIX-legacy"},
		{ID: 9, Assigned: 6, Name: "EGENERA"},
		{ID: 10, Assigned: 7, Name: "ONTAP-legacy"},
		{ID: 11, Assigned: 8, Name: "VMware", ALUA: true},
		{ID: 12, Assigned: 9, Name: "OpenVMS", LUNNews: true},
		{ID: 13, Assigned: 10, Name: "HPUX", ALUA: true, LUNNews: true},
		{ID: 15, Assigned: 11, Name: "WindowsServer", ALUA: true, LUNNews: true},
	}
}

// Capabilities are the incumbent's words for what a persona has of what there is here.
func (p Persona) Capabilities() []string {
	all := []string{}
	if p.LUNNews {
		all = append(all, "UARepLun")
	}
	if p.ALUA {
		all = append(all, "ALUA")
	}
	return all
}

// personaOf returns a persona. One that an earlier version let through is the default one.
func personaOf(id int) Persona {
	all := Personas()
	if i := slices.IndexFunc(all, func(p Persona) bool { return p.ID == id }); i >= 0 {
		return all[i]
	}
	return all[1]
}

func (p Persona) traits() scsi.Traits {
	return scsi.Traits{Symmetric: !p.ALUA, NoLUNNews: !p.LUNNews}
}

// checkPersona refuses a number that is none.
func (h *Host) checkPersona() error {
	var known []string
	for _, p := range Personas() {
		if p.ID == h.Persona {
			return nil
		}
		known = append(known, fmt.Sprintf("%d (%s)", p.ID, p.Name))
	}
	return array.Errorf(array.Invalid, "host %s: -persona %d: want one of %s", h.Name, h.Persona, strings.Join(known, ", "))
}

// personaName is the incumbent's name for a host persona.
func personaName(id int) string { return personaOf(id).Name }
