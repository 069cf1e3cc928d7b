// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"
)

// example is a request as it may be made. Together they are a story, in order: two arrays
// become a pair, serve, and part again. Tests play it against real arrays.
type example struct {
	method string
	// path is below /api/v1, with its query string.
	path, body string
	// status is what is answered, 200 if it is 0.
	status int
}

// What differs from pair to pair in the examples: the other array's key and address, and the
// session.
const (
	exampleKey     = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	exampleLink    = "198.51.100.2"
	exampleSession = "0123456789abcdef"
)

func examples() []example {
	return []example{
		{"POST", "/credentials", `{"user":"super","password":"correct horse battery"}`, http.StatusCreated},
		{"GET", "/system", "", 0},
		{"GET", "/capacity", "", 0},
		{"GET", "/wsapiconfiguration", "", 0},
		{"GET", "/openapi.json", "", 0},
		{"GET", "/users", "", 0},
		{"GET", "/users/super", "", 0},
		{"GET", "/roles", "", 0},
		{"GET", "/roles/edit", "", 0},
		{"POST", "/domains", `{"name":"office","comment":"of the office"}`, http.StatusCreated},
		{"GET", "/domains", "", 0},
		{"GET", "/domains/office", "", 0},
		{"PUT", "/domains/office", `{"newName":"offices"}`, 0},
		{"POST", "/domainsets", `{"name":"all.of.them","setmembers":["offices"]}`, http.StatusCreated},
		{"GET", "/domainsets", "", 0},
		{"GET", "/domainsets/all.of.them", "", 0},
		{"PUT", "/domainsets/all.of.them", `{"action":2,"setmembers":["offices"]}`, 0},
		{"DELETE", "/domainsets/all.of.them", "", 0},
		{"DELETE", "/domains/offices", "", 0},
		{"GET", "/cpgs", "", 0},
		{"GET", "/cpgs/cpg0", "", 0},
		{"POST", "/volumes", `{"name":"scratch","cpg":"cpg0","sizeMiB":256,"tpvv":false,"comment":"for a test"}`, http.StatusCreated},
		{"PUT", "/cpgs/cpg0", `{"usedLDWarningAlertMiB":128}`, 0},
		{"GET", "/alerts", "", 0},
		{"GET", "/alerts/1", "", 0},
		{"PUT", "/alerts/1", `{"state":"Acknowledged"}`, 0},
		{"PUT", "/cpgs/cpg0", `{"usedLDWarningAlertMiB":0}`, 0},
		{"DELETE", "/alerts/1", "", 0},
		{"POST", "/spacereporter", `{"cpg":"cpg0"}`, 0},
		{"GET", "/volumes", "", 0},
		{"GET", "/volumes/scratch", "", 0},
		{"PUT", "/volumes/scratch", `{"comment":"for another test"}`, 0},
		{"POST", "/volumes/scratch", `{"action":"createSnapshot","parameters":{"name":"scratch.1","readOnly":true,"expirationHours":48}}`, http.StatusCreated},
		{"POST", "/volumes/scratch/objectKeyValues", `{"key":"app","value":"shop"}`, http.StatusCreated},
		{"GET", "/volumes/scratch/objectKeyValues", "", 0},
		{"GET", "/volumes/scratch/objectKeyValues/app", "", 0},
		{"PUT", "/volumes/scratch/objectKeyValues/app", `{"value":"warehouse"}`, 0},
		{"DELETE", "/volumes/scratch/objectKeyValues/app", "", 0},
		{"DELETE", "/volumes/scratch.1", "", 0},
		{"DELETE", "/volumes/scratch", "", 0},
		{"POST", "/remotecopytargets", `{"name":"array-b","type":1,"systemId":2,"key":"` + exampleKey + `","portPosAndLink":[{"portPos":{"node":0,"slot":0,"cardPort":1},"link":"` + exampleLink + `"}]}`, http.StatusCreated},
		{"GET", "/remotecopytargets", "", 0},
		{"GET", "/remotecopytargets/array-b", "", 0},
		{"PUT", "/remotecopytargets/array-b", `{"policies":{"mirrorConfig":true}}`, 0},
		{"POST", "/remotecopylinks", `{"targetName":"array-b","portPos":{"node":0,"slot":0,"cardPort":2},"link":"198.51.101.2"}`, http.StatusCreated},
		{"GET", "/remotecopylinks", "", 0},
		{"GET", "/remotecopylinks/array-b_0_0_2", "", 0},
		{"DELETE", "/remotecopylinks/array-b_0_0_2", "", 0},
		{"POST", "/witness", `{"address":"203.0.113.9","key":"sha256:2222222222222222222222222222222222222222222222222222222222222222"}`, http.StatusCreated},
		{"PUT", "/witness", `{"action":1}`, 0},
		{"GET", "/witness", "", 0},
		{"PUT", "/witness", `{"action":2}`, 0},
		{"DELETE", "/witness", "", 0},
		{"POST", "/hosts", `{"name":"web1","persona":2,"iSCSINames":["iqn.1993-08.org.debian:01:web1"]}`, http.StatusCreated},
		{"GET", "/hosts", "", 0},
		{"GET", "/hosts/web1", "", 0},
		{"PUT", "/hosts/web1", `{"descriptors":{"os":"linux"}}`, 0},
		{"GET", "/hostpersonas", "", 0},
		{"GET", "/hostpersonas/2", "", 0},
		{"POST", "/hostsets", `{"name":"web","setmembers":["web1"]}`, http.StatusCreated},
		{"GET", "/hostsets", "", 0},
		{"GET", "/hostsets/web", "", 0},
		{"PUT", "/hostsets/web", `{"comment":"the web"}`, 0},
		{"DELETE", "/hostsets/web", "", 0},
		{"GET", "/ports", "", 0},
		{"GET", "/ports/0:1:1", "", 0},
		{"POST", "/remotecopygroups", `{"name":"shop","targets":[{"targetName":"array-b","mode":1,"userCPG":"cpg0"}],"localUserCPG":"cpg0"}`, http.StatusCreated},
		{"POST", "/volumes", `{"name":"shop.0","cpg":"cpg0","sizeMiB":256,"tpvv":true}`, http.StatusCreated},
		{"POST", "/remotecopygroups/shop/volumes", `{"action":1,"volumeName":"shop.0","targets":[{"targetName":"array-b","secVolumeName":"shop.0"}],"volumeAutoCreation":true}`, http.StatusCreated},
		{"PUT", "/remotecopygroups/shop", `{"action":5}`, 0},
		{"GET", "/tasks", "", 0},
		{"GET", "/tasks/1", "", 0},
		{"GET", "/remotecopy", "", 0},
		{"GET", "/remotecopygroups", "", 0},
		{"GET", "/remotecopygroups/shop", "", 0},
		{"GET", "/remotecopygroups/shop/volumes", "", 0},
		{"GET", "/remotecopygroups/shop/volumes/shop.0", "", 0},
		{"GET", "/remotecopygroups/shop/targets", "", 0},
		{"GET", "/remotecopygroups/shop/targets/array-b", "", 0},
		{"POST", "/remotecopygroups/shop/targets", `{"targetName":"array-c","mode":1}`, http.StatusConflict},
		{"DELETE", "/remotecopygroups/shop/targets/array-b", "", http.StatusForbidden},
		{"GET", "/remotecopygroups/shop/explain", "", 0},
		{"GET", "/remotecopygroups/shop/switchover", "", 0},
		{"POST", "/remotecopygroups/shop/verify", `{"mibPerSecond":50}`, http.StatusAccepted},
		{"POST", "/scrubs", `{"mibPerSecond":50}`, http.StatusAccepted},
		{"GET", "/scrubs", "", 0},
		{"POST", "/vluns", `{"volumeName":"shop.0","hostname":"web1","lun":1}`, http.StatusCreated},
		{"GET", "/vluns", "", 0},
		{"GET", "/vluns/shop.0,1,web1", "", 0},
		{"PUT", "/remotecopygroups/shop", `{"targets":[{"policies":{"activeActive":true}}]}`, 0},
		{"PUT", "/remotecopygroups/shop/hosts/web1", `{"proximity":"secondary"}`, 0},
		{"GET", "/remotecopygroups/shop/hosts", "", 0},
		{"DELETE", "/remotecopygroups/shop/hosts/web1", "", 0},
		{"POST", "/remotecopygroups/shop", `{"action":8}`, 0},
		{"POST", "/remotecopygroups/shop", `{"action":10}`, 0},
		{"POST", "/remotecopygroups/shop/drill", `{"hosts":["web1"]}`, http.StatusCreated},
		{"GET", "/drills", "", 0},
		{"GET", "/remotecopygroups/shop/drill", "", 0},
		{"DELETE", "/remotecopygroups/shop/drill", "", 0},
		{"POST", "/volumes", `{"name":"db.0","cpg":"cpg0","sizeMiB":64,"tpvv":true}`, http.StatusCreated},
		{"POST", "/volumesets", `{"name":"db","setmembers":["db.0"]}`, http.StatusCreated},
		{"GET", "/volumesets", "", 0},
		{"GET", "/volumesets/db", "", 0},
		{"PUT", "/volumesets/db", `{"comment":"the database"}`, 0},
		{"POST", "/volumesets/db/protection", `{"groupName":"db","targetName":"array-b","mode":1}`, http.StatusCreated},
		{"POST", "/volumesets/db", `{"action":"createSnapshot","parameters":{"name":"db.now","readOnly":true}}`, http.StatusCreated},
		{"POST", "/qos", `{"name":"db","type":1,"ioMaxLimit":1000}`, http.StatusCreated},
		{"GET", "/qos", "", 0},
		{"GET", "/qos/vvset:db", "", 0},
		{"PUT", "/qos/vvset:db", `{"ioMaxLimit":2000}`, 0},
		{"DELETE", "/qos/vvset:db", "", 0},
		{"DELETE", "/volumesets/db", "", 0},
		{"DELETE", "/remotecopygroups/db?removeVolumes=true", "", 0},
		{"DELETE", "/vluns/shop.0,1,web1", "", 0},
		{"DELETE", "/remotecopygroups/shop/volumes/shop.0?removeVolume=true&removeSecondaryVolume=true", "", 0},
		{"DELETE", "/remotecopygroups/shop", "", 0},
		{"DELETE", "/hosts/web1", "", 0},
		{"PUT", "/tasks/1", `{"action":1}`, http.StatusConflict},
		{"GET", "/eventlog?since=1", "", 0},
		{"GET", "/eventlog/minutes:60", "", 0},
		{"GET", "/eventstream", "", 0},
		{"POST", "/cli", `{"words":["showvv","-d"],"csvtable":true}`, 0},
		{"DELETE", "/remotecopytargets/array-b", "", 0},
		{"POST", "/cpgs", `{"name":"cpg1"}`, http.StatusNotImplemented},
		{"DELETE", "/cpgs/cpg0", "", http.StatusNotImplemented},
		{"GET", "/flashcache", "", http.StatusNotImplemented},
		{"POST", "/flashcache", `{"sizeGiB":64}`, http.StatusNotImplemented},
		{"GET", "/aoconfigurations", "", http.StatusNotImplemented},
		{"GET", "/volumespacedistribution/shop.0", "", http.StatusNotImplemented},
		{"GET", "/volumespacedistribution", "", http.StatusNotImplemented},
		{"DELETE", "/flashcache", "", http.StatusNotImplemented},
		{"GET", "/ports/0:1:1/iSCSIVlans", "", http.StatusNotImplemented},
		{"POST", "/ports/0:1:1/iSCSIVlans", "", http.StatusNotImplemented},
		{"GET", "/ports/0:1:1/iSCSIVlans/7", "", http.StatusNotImplemented},
		{"PUT", "/ports/0:1:1/iSCSIVlans/7", "", http.StatusNotImplemented},
		{"DELETE", "/ports/0:1:1/iSCSIVlans/7", "", http.StatusNotImplemented},
		{"GET", "/portdevices/all/0:1:1", "", http.StatusNotImplemented},
		{"GET", "/systemreporter/attime/cpgspacedata/daily", "", http.StatusNotImplemented},
		{"DELETE", "/credentials/" + exampleSession, "", 0},
	}
}

// at reports whether the example is of a route, and which of its path's segments are which
// parameters.
func (e example) at(r route) (values map[string]string, is bool) {
	path, _, _ := strings.Cut(e.path, "?")
	have, want := strings.Split(path, "/"), strings.Split(r.path, "/")
	if e.method != r.method {
		return nil, false
	}
	values = map[string]string{}
	for i, w := range want {
		name, variable := parameter(w)
		switch {
		case strings.HasSuffix(w, "...}") && i < len(have):
			values[name] = strings.Join(have[i:], "/")
			return values, true
		case i >= len(have), !variable && have[i] != w:
			return nil, false
		case variable:
			values[name] = have[i]
		}
	}
	return values, len(have) == len(want)
}

// exampleOf returns the first example of a route.
func exampleOf(r route) (e example, values map[string]string, is bool) {
	for _, e := range examples() {
		if values, is := e.at(r); is {
			return e, values, true
		}
	}
	return example{}, nil, false
}
