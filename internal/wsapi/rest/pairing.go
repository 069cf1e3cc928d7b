// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// How two arrays become a pair. Each is asked by itself, and needs the same of the other.
func pairingRoutes() []route {
	return []route{
		{method: "POST", path: "/remotecopytargets", right: people.Change, about: "make another array this one's target", in: targetSpec{}, status: http.StatusCreated, do: postTarget},
		{method: "DELETE", path: "/remotecopytargets/{target}", right: people.Change, about: "end the relation to it; with force though its witness is started", query: []string{"force"}, do: deleteTarget},
		{method: "POST", path: "/remotecopylinks", right: people.Change, about: "add a link to the target", in: linkSpec{}, status: http.StatusCreated, do: postLink, own: true},
		{method: "DELETE", path: "/remotecopylinks/{link}", right: people.Change, about: "take a link away", do: deleteLink, own: true},
		{method: "POST", path: "/witness", right: people.Change, about: "name the quorum witness, which is used when it is started", in: witnessSpec{}, status: http.StatusCreated, do: postWitness, own: true},
		{method: "PUT", path: "/witness", right: people.Change, about: "action 1 starts it, 2 stops it, 3 asks it and changes nothing", in: witnessAction{}, out: witnessCheck{}, do: putWitness, own: true},
		{method: "DELETE", path: "/witness", right: people.Change, about: "forget it, after it was stopped", do: deleteWitness, own: true},
	}
}

type targetSpec struct {
	Name string `json:"name"`
	// Type is 1 for IP, NodeWWN of the incumbent's other kind.
	Type    int           `json:"type"`
	NodeWWN string        `json:"nodeWWN,omitempty"`
	Links   []portAndLink `json:"portPosAndLink"`
	// Disabled targets the incumbent has.
	Disabled bool `json:"disabled,omitempty"`
	// SystemID and Key are the other array's, which GET /system tells there.
	SystemID uint32 `json:"systemId"`
	Key      string `json:"key"`
	// Outside: it is an array outside the pair, for periodic copies.
	Outside bool `json:"outsideThePair,omitempty"`
}

type portAndLink struct {
	PortPos portPos `json:"portPos"`
	Link    string  `json:"link"`
}

// word is a link as commands name it.
func (p portAndLink) word(ref string) (string, error) {
	switch {
	case p.Link == "":
		return "", fail(wsapi.Missing, ref, "%s is missing: want the other array's address", ref)
	case strings.ContainsAny(p.Link, " \t\n"):
		return "", fail(wsapi.IllegalChar, ref, "%s is %q: want an address", ref, p.Link)
	}
	return fmt.Sprintf("%d:%d:%d:%s", p.PortPos.Node, p.PortPos.Slot, p.PortPos.CardPort, p.Link), nil
}

// key refuses what no key of an array or witness is.
func key(text string) error {
	if text == "" {
		return fail(wsapi.Missing, "key", "key is missing: want sha256: and 64 hexadecimal digits")
	}
	if strings.HasPrefix(text, "-") || len(text) > 80 {
		return fail(wsapi.BadInput, "key", "key is %.80q: want sha256: and 64 hexadecimal digits", text)
	}
	return nil
}

func postTarget(c *call) (answer, error) {
	var in targetSpec
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("name", in.Name); err != nil {
		return answer{}, err
	}
	switch {
	case in.Type == 0:
		return answer{}, fail(wsapi.Missing, "type", "type is missing: want 1, IP")
	case in.Type != targetIP && in.Type != 2:
		return answer{}, fail(wsapi.BadEnum, "type", "type is %d: want 1, IP", in.Type)
	case in.Type == 2 || in.NodeWWN != "":
		return answer{}, fail(wsapi.Unsupported, "type", "links are TCP connections: want type 1, and no nodeWWN")
	case in.Disabled:
		return answer{}, fail(wsapi.Unsupported, "disabled", "a target is used while it has a link that is up")
	case len(in.Links) == 0:
		return answer{}, fail(wsapi.Missing, "portPosAndLink", "portPosAndLink is missing: want a link at least")
	case in.SystemID == 0:
		return answer{}, fail(wsapi.Missing, "systemId", "systemId is missing: GET /system tells it at the other array")
	}
	if err := key(in.Key); err != nil {
		return answer{}, err
	}
	words := []string{"creatercopytarget"}
	if in.Outside {
		words = append(words, "-periodic")
	}
	words = append(words, "-sysid", strconv.FormatUint(uint64(in.SystemID), 10), "-key", in.Key, in.Name, "IP")
	for i, l := range in.Links {
		w, err := l.word(fmt.Sprintf("portPosAndLink[%d].link", i))
		if err != nil {
			return answer{}, err
		}
		words = append(words, w)
	}
	if err := c.run(words...); err != nil {
		return answer{}, err
	}
	return created(base + "/remotecopytargets/" + in.Name)
}

func deleteTarget(c *call) (answer, error) {
	t, err := c.target()
	if err != nil {
		return answer{}, err
	}
	sure, err := c.flag("force")
	if err != nil {
		return answer{}, err
	}
	if w := t.QuorumWitness; w != nil && w.Started && !sure {
		return answer{}, fail(wsapi.NotConfirmed, "force", "the quorum witness %s is started, and is forgotten with target %s: stop it, or say force=true", w.Address, t.Name)
	}
	if err := c.run("removercopytarget", "-f", t.Name); err != nil {
		return answer{}, err
	}
	return done("")
}

type linkSpec struct {
	Target  string  `json:"targetName"`
	PortPos portPos `json:"portPos"`
	Link    string  `json:"link"`
}

func postLink(c *call) (answer, error) {
	var in linkSpec
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("targetName", in.Target); err != nil {
		return answer{}, err
	}
	w, err := portAndLink{in.PortPos, in.Link}.word("link")
	if err != nil {
		return answer{}, err
	}
	if err := c.run("admitrcopylink", in.Target, w); err != nil {
		return answer{}, err
	}
	return created(fmt.Sprintf("%s/remotecopylinks/%s_0_0_%d", base, in.Target, in.PortPos.CardPort))
}

func deleteLink(c *call) (answer, error) {
	for _, l := range links(c) {
		if l.Name != c.r.PathValue("link") {
			continue
		}
		w, err := portAndLink{l.LocalPort, l.RemoteAddress}.word("link")
		if err != nil {
			return answer{}, err
		}
		if err := c.run("dismissrcopylink", l.Target, w); err != nil {
			return answer{}, err
		}
		return done("")
	}
	return answer{}, fail(wsapi.NoLink, "", "link %.80q does not exist", c.r.PathValue("link"))
}

type witnessSpec struct {
	Address string `json:"address"`
	Key     string `json:"key"`
}

// witnessWords give a command on the witness of the target.
func (c *call) witnessWords(verb string, words ...string) error {
	target := c.array().System().Target
	if target == "" {
		return fail(wsapi.NoTarget, "", "there is no target: a witness arbitrates between two arrays")
	}
	return c.run(append(append([]string{"setrcopytarget", "witness", verb}, words...), target)...)
}

func postWitness(c *call) (answer, error) {
	var in witnessSpec
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	switch {
	case in.Address == "":
		return answer{}, fail(wsapi.Missing, "address", "address is missing: want the witness's host:port")
	case strings.HasPrefix(in.Address, "-"):
		return answer{}, fail(wsapi.BadInput, "address", "address is %.80q: want the witness's host:port", in.Address)
	}
	if err := key(in.Key); err != nil {
		return answer{}, err
	}
	if err := c.witnessWords("create", "-key", in.Key, in.Address); err != nil {
		return answer{}, err
	}
	return created(base + "/witness")
}

type witnessAction struct {
	Action int `json:"action"`
}

func putWitness(c *call) (answer, error) {
	var in witnessAction
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	verbs := map[int]string{1: "start", 2: "stop", 3: "check"}
	verb, known := verbs[in.Action]
	if !known {
		return answer{}, fail(wsapi.BadEnum, "action", "action %d: want 1, start, 2, stop, or 3, check", in.Action)
	}
	if _, is := c.array().Witness(); !is {
		return answer{}, fail(wsapi.NoWitness, "", "there is no witness")
	}
	if verb == "check" {
		return c.checkWitness()
	}
	if err := c.witnessWords(verb); err != nil {
		return answer{}, err
	}
	return done(base + "/witness")
}

// witnessCheck is what a witness answered when it was asked.
type witnessCheck struct {
	Address     string  `json:"address"`
	RoundTripMs float64 `json:"roundTripMs"`
	Version     string  `json:"version"`
}

func (c *call) checkWitness() (answer, error) {
	k, err := c.array().CheckWitness(c.r.Context())
	if err != nil {
		return answer{}, err
	}
	return ok(witnessCheck{Address: k.Address, RoundTripMs: float64(k.RoundTrip.Microseconds()) / 1000, Version: k.Version})
}

func deleteWitness(c *call) (answer, error) {
	if _, is := c.array().Witness(); !is {
		return answer{}, fail(wsapi.NoWitness, "", "there is no witness")
	}
	if err := c.witnessWords("remove"); err != nil {
		return answer{}, err
	}
	return done("")
}
