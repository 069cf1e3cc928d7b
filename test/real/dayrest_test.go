// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// overREST is an administrator's program.
type overREST struct {
	*day
	http [2]*http.Client
	key  [2]string
}

// newOverREST connects from the host. What the arrays show is their identity's own
// certificate; whom it talks to is seen by what it tells.
func newOverREST(d *day) *overREST {
	o := &overREST{day: d}
	for i := range 2 {
		o.http[i] = &http.Client{Transport: &http.Transport{
			DialContext: d.Lab.Node(lab.Host).DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
		}}
	}
	return o
}

// object is a body, or what was answered.
type object map[string]any

// ask asks an array and returns the status and what was answered.
func (o *overREST) ask(array int, method, path string, body any) (int, object) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), setUpIn)
	defer cancel()
	var in bytes.Buffer
	if body != nil {
		o.must(json.NewEncoder(&in).Encode(body))
	}
	url := fmt.Sprintf("https://%v:8080/api/v1%s", o.Lab.Node(rig.Node(array)).Addr(lab.Fabric1), path)
	q, err := http.NewRequestWithContext(ctx, method, url, &in)
	o.must(err)
	if o.key[array] != "" {
		q.Header.Set("X-HP3PAR-WSAPI-SessionKey", o.key[array])
	}
	r, err := o.http[array].Do(q)
	if err != nil {
		return 0, object{"desc": err.Error()}
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	o.must(err)
	out := object{}
	if len(bytes.TrimSpace(b)) > 0 {
		o.must(json.Unmarshal(b, &out))
	}
	return r.StatusCode, out
}

// give asks for what must be done.
func (o *overREST) give(array int, method, path string, body any) object {
	o.t.Helper()
	status, out := o.ask(array, method, path, body)
	if status == http.StatusForbidden && out["code"] == 6.0 || o.key[array] == "" { // as clients do
		o.login(array)
		status, out = o.ask(array, method, path, body)
	}
	if status < 200 || status > 299 {
		o.t.Fatalf("%s: %s %s %v: %d %v", rig.Name(array), method, path, body, status, out)
	}
	return out
}

func (o *overREST) login(array int) {
	o.t.Helper()
	o.key[array] = ""
	status, out := o.ask(array, "POST", "/credentials", object{"user": "admin", "password": dayPassword})
	if status != http.StatusCreated {
		o.t.Fatalf("log in: %d %v", status, out)
	}
	o.key[array] = out["key"].(string)
}

// members are those of a list.
func (o *overREST) members(array int, path string) (all []object) {
	o.t.Helper()
	for _, m := range o.give(array, "GET", path, nil)["members"].([]any) {
		all = append(all, m.(map[string]any))
	}
	return all
}

func (o *overREST) pair() {
	o.t.Helper()
	var systems [2]object
	for i := range 2 {
		systems[i] = o.give(i, "GET", "/system", nil)
	}
	for i := range 2 {
		s, at := systems[1-i], o.Lab.Node(rig.Node(1-i))
		var links []object
		for k, network := range []string{lab.Link1, lab.Link2} {
			links = append(links, object{"portPos": object{"node": 0, "slot": 0, "cardPort": k + 1}, "link": at.Addr(network).String()})
		}
		o.give(i, "POST", "/remotecopytargets", object{"name": s["name"], "type": 1, "systemId": s["id"], "key": s["identityKey"], "portPosAndLink": links})
	}
	for i := range 2 {
		o.eventually("the target", func() bool {
			t := o.members(i, "/remotecopytargets")
			return len(t) == 1 && t[0]["state"] == 2.0
		})
		o.give(i, "POST", "/witness", object{"address": o.witness[0], "key": o.witness[1]})
		o.give(i, "PUT", "/witness", object{"action": 3})
		o.give(i, "PUT", "/witness", object{"action": 1})
	}
}

func (o *overREST) unpair() {
	o.t.Helper()
	for i := range 2 {
		o.give(i, "PUT", "/witness", object{"action": 2})
		o.give(i, "DELETE", "/witness", nil)
		o.give(i, "DELETE", "/remotecopytargets/"+o.names[1-i], nil)
	}
}

func (o *overREST) furnish() {
	o.t.Helper()
	o.give(rig.A, "POST", "/hosts", object{"name": "web", "iSCSINames": []string{rig.Initiator}})
	o.give(rig.A, "POST", "/hosts", object{"name": "test", "iSCSINames": []string{testHost}})
	var names []string
	for k := range dayVolumes {
		name := fmt.Sprintf("v%d", k)
		o.give(rig.A, "POST", "/volumes", object{"name": name, "cpg": "cpg0", "sizeMiB": 64, "tpvv": true})
		names = append(names, name)
	}
	o.give(rig.A, "POST", "/volumesets", object{"name": "apps", "setmembers": names})
}

func (o *overREST) protect() {
	o.t.Helper()
	o.give(rig.A, "POST", "/volumesets/apps/protection", object{
		"groupName": group, "targetName": "array-b", "mode": 1, "hosts": []string{"web"}, "policies": object{"autoFailover": false},
	})
	o.rejoin()
}

func (o *overREST) failOver() {
	o.t.Helper()
	o.eventually("array-b to take over", func() bool {
		status, _ := o.ask(rig.B, "POST", "/remotecopygroups/"+group, object{"action": 7})
		return status == http.StatusOK
	})
}

func (o *overREST) rejoin() {
	o.t.Helper()
	o.eventually("the group to be in sync", func() bool {
		g := o.give(rig.B, "GET", "/remotecopygroups/"+group, nil)
		all := g["volumes"].([]any)
		return len(all) == dayVolumes && !slices.ContainsFunc(all, func(v any) bool {
			remote := v.(map[string]any)["remoteVolumes"].([]any)[0].(map[string]any)
			return remote["syncStatus"] != 3.0
		})
	})
}

func (o *overREST) home() {
	o.t.Helper()
	o.give(rig.B, "POST", "/remotecopygroups/"+group, object{"action": 10})
}

func (o *overREST) drill() {
	o.t.Helper()
	o.give(rig.B, "POST", "/remotecopygroups/"+group+"/drill", object{"hosts": []string{"test"}})
}

func (o *overREST) drilled() {
	o.t.Helper()
	o.give(rig.B, "DELETE", "/remotecopygroups/"+group+"/drill", nil)
}

func (o *overREST) clear() {
	o.t.Helper()
	for _, l := range o.members(rig.A, "/vluns") {
		if l["active"] == false {
			o.give(rig.A, "DELETE", fmt.Sprintf("/vluns/%v,%v,%v", l["volumeName"], l["lun"], l["hostname"]), nil)
		}
	}
	o.give(rig.A, "DELETE", "/volumesets/apps", nil)
	for k := range dayVolumes {
		o.give(rig.A, "DELETE", fmt.Sprintf("/remotecopygroups/%s/volumes/v%d?removeVolume=true&removeSecondaryVolume=true", group, k), nil)
	}
	o.give(rig.A, "DELETE", "/remotecopygroups/"+group, nil)
	o.give(rig.A, "DELETE", "/hosts/web", nil)
	o.give(rig.A, "DELETE", "/hosts/test", nil)
}
