// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

type hostMods struct {
	NewName          string           `json:"newName,omitempty"`
	Persona          *int             `json:"persona,omitempty"`
	Descriptors      *hostDescriptors `json:"descriptors,omitempty"`
	PathOperation    *int             `json:"pathOperation,omitempty"`
	ISCSINames       []string         `json:"iSCSINames,omitempty"`
	FCWWNs           []string         `json:"FCWWNs,omitempty"`
	ForcePathRemoval bool             `json:"forcePathRemoval,omitempty"`

	CHAPOperation        *int   `json:"chapOperation,omitempty"`
	CHAPOperationMode    int    `json:"chapOperationMode,omitempty"`
	CHAPName             string `json:"chapName,omitempty"`
	CHAPSecret           string `json:"chapSecret,omitempty"`
	CHAPSecretHex        bool   `json:"chapSecretHex,omitempty"`
	CHAPRemoveTargetOnly bool   `json:"chapRemoveTargetOnly,omitempty"`
}

// The operations on paths and accounts.
const (
	operationAdd    = 1
	operationRemove = 2
	chapOfInitiator = 1
)

func putHost(c *call) (answer, error) {
	f, err := findHost(c)
	if err != nil {
		return answer{}, err
	}
	var in hostMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.NewName != "" {
		return answer{}, fail(wsapi.Unsupported, "newName", "a host can't be given another name: exports know it by its name")
	}
	paths, err := in.paths(f.Name)
	if err != nil {
		return answer{}, err
	}
	others, err := in.others()
	if err != nil {
		return answer{}, err
	}
	if paths != nil && others != nil {
		// Two commands would be two changes, of which one alone might be made.
		return answer{}, fail(wsapi.ParamConflict, "pathOperation", "pathOperation goes with no other change: ask for one after the other")
	}
	words := paths
	if others != nil {
		words = append(append([]string{"sethost"}, others...), f.Name)
	}
	if words == nil {
		return answer{}, fail(wsapi.OneRequired, "", "want pathOperation, persona, descriptors or chapOperation")
	}
	if err := c.run(words...); err != nil {
		return answer{}, err
	}
	return done(base + "/hosts/" + f.Name)
}

// paths is the command for the host's names, nil for none.
func (m hostMods) paths(which string) ([]string, error) {
	if err := iscsiNames(m.ISCSINames, m.FCWWNs); err != nil {
		return nil, err
	}
	switch {
	case m.PathOperation == nil && len(m.ISCSINames) > 0:
		return nil, fail(wsapi.OneRequired, "pathOperation", "pathOperation is missing: want 1 to add iSCSINames, 2 to remove them")
	case m.PathOperation == nil && m.ForcePathRemoval:
		return nil, fail(wsapi.OneRequired, "pathOperation", "forcePathRemoval goes with pathOperation 2")
	case m.PathOperation == nil:
		return nil, nil
	case len(m.ISCSINames) == 0:
		return nil, fail(wsapi.OneRequired, "iSCSINames", "iSCSINames are missing")
	case *m.PathOperation == operationAdd && m.ForcePathRemoval:
		return nil, fail(wsapi.ParamConflict, "forcePathRemoval", "forcePathRemoval goes with pathOperation 2")
	case *m.PathOperation == operationAdd:
		return append([]string{"createhost", "-add", which}, m.ISCSINames...), nil
	case *m.PathOperation == operationRemove:
		return append([]string{"removehost", "-f", which}, m.ISCSINames...), nil
	}
	return nil, fail(wsapi.BadEnum, "pathOperation", "pathOperation %d: want 1 or 2", *m.PathOperation)
}

// others are sethost's options.
func (m hostMods) others() (words []string, err error) {
	if words, err = m.Descriptors.words(); err != nil {
		return nil, err
	}
	if m.Persona != nil {
		p, err := personaWord(*m.Persona)
		if err != nil {
			return nil, err
		}
		words = append(words, "-persona", p)
	}
	chap, err := m.chap()
	return append(words, chap...), err
}

func (m hostMods) chap() ([]string, error) {
	said := m.CHAPName != "" || m.CHAPSecret != "" || m.CHAPOperationMode != 0 || m.CHAPSecretHex
	switch {
	case m.CHAPOperation == nil && (said || m.CHAPRemoveTargetOnly):
		return nil, fail(wsapi.OneRequired, "chapOperation", "chapOperation is missing: want 1 or 2")
	case m.CHAPOperation == nil:
		return nil, nil
	case *m.CHAPOperation == operationRemove && said:
		return nil, fail(wsapi.ParamConflict, "chapOperation", "chapOperation 2 goes with none of chapName, chapSecret, chapSecretHex and chapOperationMode")
	case *m.CHAPOperation == operationRemove && m.CHAPRemoveTargetOnly:
		return nil, fail(wsapi.Unsupported, "chapRemoveTargetOnly", "the target does not prove itself by CHAP: there is nothing to remove")
	case *m.CHAPOperation == operationRemove:
		return []string{"-nochap"}, nil
	case *m.CHAPOperation != operationAdd:
		return nil, fail(wsapi.BadEnum, "chapOperation", "chapOperation %d: want 1 or 2", *m.CHAPOperation)
	case m.CHAPRemoveTargetOnly:
		return nil, fail(wsapi.ParamConflict, "chapRemoveTargetOnly", "chapRemoveTargetOnly goes with chapOperation 2")
	case m.CHAPOperationMode != chapOfInitiator || m.CHAPSecretHex:
		return nil, fail(wsapi.Unsupported, "chapOperationMode", "want chapOperationMode 1, the initiator's, with a secret that is text")
	case m.CHAPName == "" || strings.Contains(m.CHAPName, ":"):
		return nil, fail(wsapi.Missing, "chapName", "want a chapName without a colon")
	case len(m.CHAPSecret) < 12 || len(m.CHAPSecret) > 64:
		return nil, fail(wsapi.BadInput, "chapSecret", "chapSecret has %d characters: want 12 to 64", len(m.CHAPSecret))
	}
	for ref, s := range map[string]string{"chapName": m.CHAPName, "chapSecret": m.CHAPSecret} {
		if err := text(ref, s, 223); err != nil {
			return nil, err
		}
	}
	return []string{"-chap=" + m.CHAPName + ":" + m.CHAPSecret}, nil
}

type persona struct {
	WSAPIAssignedID int      `json:"wsapiAssignedId"`
	Name            string   `json:"name"`
	Capabilities    []string `json:"capabilities"`
}

// personas are the incumbent's, by its interface's numbers, which are not those of the
// command line.
func personas() (all []persona) {
	for _, p := range node.Personas() {
		all = append(all, persona{WSAPIAssignedID: p.Assigned, Name: p.Name, Capabilities: p.Capabilities()})
	}
	return all
}

// personaWord returns the command line's number.
func personaWord(id int) (string, error) {
	for _, p := range node.Personas() {
		if p.Assigned == id {
			return strconv.Itoa(p.ID), nil
		}
	}
	return "", fail(wsapi.BadEnum, "persona", "persona %d: want 1 to %d", id, len(personas()))
}

// personaNumber is personaWord the other way round.
func personaNumber(id int) int {
	for _, p := range node.Personas() {
		if p.ID == id {
			return p.Assigned
		}
	}
	return id
}

func getPersonas(c *call) (answer, error) { return collect(c, personas()) }

func getPersona(c *call) (answer, error) {
	id, err := strconv.Atoi(c.r.PathValue("persona"))
	if err != nil {
		return answer{}, fail(wsapi.WrongType, "", "a persona is a number")
	}
	for _, p := range personas() {
		if p.WSAPIAssignedID == id {
			return ok(p)
		}
	}
	return answer{}, array.Errorf(array.NotFound, "persona %d does not exist", id)
}
