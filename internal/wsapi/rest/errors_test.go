// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"
	"testing"
)

// wrong is a request, and what it is answered.
type wrong struct {
	status, code int
	method, path string
	body         string
}

func volumeErrors() []wrong {
	long := strings.Repeat("x", 32)
	return []wrong{
		{404, 23, "GET", "/volumes/none", ""},
		{400, 57, "GET", "/volumes/" + long, ""},
		{400, 69, "GET", "/volumes/a!b", ""},
		{400, 69, "GET", "/volumes/-f", ""},
		{400, 3, "POST", "/volumes", ""},
		{400, 3, "POST", "/volumes", `{"name":`},
		{400, 60, "POST", "/volumes", `{"name":abc}`},
		{400, 60, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":1}{}`},
		{400, 39, "POST", "/volumes", `{"name":7}`},
		{400, 12, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":256,"nonsense":1}`},
		{400, 12, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":1,"NAME":"y"}`},
		{400, 12, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":1,"Comment":"y"}`},
		{400, 12, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":1,"name":"y"}`},
		{400, 12, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":1,"policies":{"oneHost":false,"ONEHOST":false}}`},
		{400, 12, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":1,"objectKeyValues":[{"key":"a","value":"b","value":"c"}]}`},
		{400, 12, "POST", "/volumes/own", `{"action":"createSnapshot","parameters":{"name":"a","Name":"b"}}`},
		{400, 39, "POST", "/volumes", `["name"]`},
		{400, 39, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":1.5}`},
		{400, 43, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":99999999999999999999}`},
		{400, 115, "POST", "/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":-99999999999999999999}`},
		{400, 40, "POST", "/volumes", `{"cpg":"cpg0","sizeMiB":256}`},
		{400, 40, "POST", "/volumes", `{"name":"a","sizeMiB":256}`},
		{404, 15, "POST", "/volumes", `{"name":"a","cpg":"none","sizeMiB":256}`},
		{404, 15, "POST", "/volumes", `{"name":"a","cpg":"cpg0","snapCPG":"none","sizeMiB":256}`},
		{409, 22, "POST", "/volumes", `{"name":"own","cpg":"cpg0","sizeMiB":256}`},
		{400, 57, "POST", "/volumes", `{"name":"` + long + `","cpg":"cpg0","sizeMiB":256}`},
		{400, 69, "POST", "/volumes", `{"name":"-tdvv","cpg":"cpg0","sizeMiB":256}`},
		{400, 69, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":256,"comment":"a\u0007b"}`},
		{400, 28, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":67108865}`},
		{400, 115, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":0}`},
		{400, 40, "POST", "/volumes", `{"name":"a","cpg":"cpg0"}`},
		{400, 43, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":256,"usrSpcAllocWarningPct":101}`},
		{400, 44, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":256,"tpvv":true,"tdvv":true}`},
		{400, 1028, "POST", "/volumes", `{"name":"a","cpg":"cpg0","sizeMiB":256,"policies":{"oneHost":true}}`},
		{409, 26, "DELETE", "/volumes/own", ""},
		{404, 23, "DELETE", "/volumes/none", ""},
		{403, 120, "DELETE", "/volumes/shop", ""},
		{404, 23, "PUT", "/volumes/none", `{"comment":"x"}`},
		{404, 23, "PUT", "/volumes/none", `{}`},
		{409, 22, "PUT", "/volumes/own", `{"newName":"shop"}`},
		{400, 69, "PUT", "/volumes/own", `{"newName":"a b"}`},
		{501, 9, "PUT", "/volumes/own", `{"action":6}`},
		{400, 46, "PUT", "/volumes/own", `{"action":99}`},
		{400, 152, "PUT", "/volumes/own", `{"action":3}`},
		{400, 152, "PUT", "/volumes/own", `{"action":3,"sizeMiB":-1}`},
		{403, 153, "PUT", "/volumes/own", `{"action":3,"sizeMiB":67108864}`},
		{403, 150, "PUT", "/volumes/shop.1", `{"action":3,"sizeMiB":256}`},
		{409, 1027, "PUT", "/volumes/own", `{"action":4}`},
		{403, 120, "PUT", "/volumes/shop.1", `{"action":4}`},
		{409, 26, "PUT", "/volumes/shop.1", `{"action":4,"allowRemoteCopyParent":true}`},
		{404, 1026, "PUT", "/volumes/own", `{"action":1}`},
		{400, 44, "PUT", "/volumes/own", `{"sizeMiB":256}`},
		{400, 46, "POST", "/volumes/own", `{"action":"tune"}`},
		{400, 40, "POST", "/volumes/own", `{"action":"createSnapshot"}`},
		{409, 22, "POST", "/volumes/own", `{"action":"createSnapshot","parameters":{"name":"shop","readOnly":true}}`},
		{404, 23, "POST", "/volumes/none", `{"action":"createSnapshot","parameters":{"name":"s","readOnly":true}}`},
		{403, 1025, "POST", "/volumes/shop.1", `{"action":"createSnapshot","parameters":{"name":"s","readOnly":true}}`},
		{400, 43, "POST", "/volumes/own", `{"action":"createSnapshot","parameters":{"name":"s","expirationHours":43801}}`},
		{400, 12, "POST", "/volumes/own", `{"action":"createSnapshot","parameters":{"name":"s","expirationHours":2,"retentionHours":3}}`},
		{404, 15, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"c","destCPG":"none","online":true}}`},
		{409, 22, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"shop","destCPG":"cpg0","online":true}}`},
		{400, 44, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"c","destCPG":"cpg0"}}`},
		{400, 44, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"c","tpvv":true}}`},
		{400, 44, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"c","compression":true}}`},
		{404, 15, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"c","online":true,"destCPG":"cpg0","snapCPG":"none"}}`},
		{400, 46, "POST", "/volumes/own", `{"action":"createPhysicalCopy","parameters":{"destVolume":"c","priority":9}}`},
		{400, 28, "POST", "/volumes/shop", `{"action":"createPhysicalCopy","parameters":{"destVolume":"own"}}`},
		{404, 180, "GET", "/volumes/shop/objectKeyValues/none", ""},
		{404, 23, "GET", "/volumes/none/objectKeyValues", ""},
		{409, 181, "POST", "/volumes/shop/objectKeyValues", `{"key":"app","value":"x"}`},
		{400, 57, "POST", "/volumes/shop/objectKeyValues", `{"key":"` + long + `","value":"x"}`},
		{400, 57, "POST", "/volumes/shop/objectKeyValues", `{"key":"k","value":"` + strings.Repeat("x", 512) + `"}`},
		{400, 69, "POST", "/volumes/shop/objectKeyValues", `{"key":"a&b","value":"x"}`},
		{400, 40, "POST", "/volumes/shop/objectKeyValues", `{"value":"x"}`},
		{404, 180, "DELETE", "/volumes/shop/objectKeyValues/none", ""},
		{400, 40, "PUT", "/volumes/shop/objectKeyValues/app", `{}`},
	}
}

func hostErrors() []wrong {
	long := strings.Repeat("x", 32)
	return []wrong{
		{404, 17, "GET", "/hosts/none", ""},
		{409, 16, "POST", "/hosts", `{"name":"web1","iSCSINames":["iqn.2026-01.org.example:new"]}`},
		{409, 73, "POST", "/hosts", `{"name":"web3","iSCSINames":["iqn.2026-01.org.example:web1"]}`},
		{400, 40, "POST", "/hosts", `{"iSCSINames":["iqn.2026-01.org.example:new"]}`},
		{400, 78, "POST", "/hosts", `{"name":"web3"}`},
		{400, 44, "POST", "/hosts", `{"name":"web3","iSCSINames":["iqn.x:y"],"FCWWNs":["1234567890123456"]}`},
		{501, 9, "POST", "/hosts", `{"name":"web3","FCWWNs":["1234567890123456"]}`},
		{400, 57, "POST", "/hosts", `{"name":"` + long + `","iSCSINames":["iqn.x:y"]}`},
		{400, 69, "POST", "/hosts", `{"name":"a$b","iSCSINames":["iqn.x:y"]}`},
		{400, 45, "POST", "/hosts", `{"name":"a","iSCSINames":[""]}`},
		{400, 12, "POST", "/hosts", `{"name":"a","iSCSINames":["-add"]}`},
		{400, 46, "POST", "/hosts", `{"name":"a","iSCSINames":["iqn.x:y"],"persona":12}`},
		{404, 38, "POST", "/hosts", `{"name":"a","iSCSINames":["iqn.x:y"],"domain":"d"}`},
		{404, 17, "PUT", "/hosts/none", `{"persona":1}`},
		{400, 78, "PUT", "/hosts/web1", `{}`},
		{400, 78, "PUT", "/hosts/web1", `{"iSCSINames":["iqn.x:y"]}`},
		{400, 78, "PUT", "/hosts/web1", `{"pathOperation":1}`},
		{400, 46, "PUT", "/hosts/web1", `{"pathOperation":3,"iSCSINames":["iqn.x:y"]}`},
		{409, 73, "PUT", "/hosts/web1", `{"pathOperation":1,"iSCSINames":["iqn.2026-01.org.example:web2"]}`},
		{404, 80, "PUT", "/hosts/web1", `{"pathOperation":2,"iSCSINames":["iqn.x:y"]}`},
		{501, 9, "PUT", "/hosts/web1", `{"newName":"web9"}`},
		{400, 44, "PUT", "/hosts/web1", `{"chapOperation":2,"chapName":"x"}`},
		{400, 12, "PUT", "/hosts/web1", `{"chapOperation":1,"chapOperationMode":1,"chapName":"x","chapSecret":"short"}`},
		{409, 26, "DELETE", "/hosts/web1", ""},
		{409, 77, "DELETE", "/hosts/web2", ""},
		{404, 17, "DELETE", "/hosts/none", ""},
		{404, 11, "GET", "/hostpersonas/77", ""},
		{400, 39, "GET", "/hostpersonas/x", ""},
		{409, 101, "POST", "/hostsets", `{"name":"web"}`},
		{404, 17, "POST", "/hostsets", `{"name":"new","setmembers":["none"]}`},
		{404, 102, "GET", "/hostsets/none", ""},
		{404, 102, "PUT", "/hostsets/none", `{"action":1,"setmembers":["web1"]}`},
		{409, 1023, "PUT", "/hostsets/web", `{"action":1,"setmembers":["web1"]}`},
		{404, 1024, "PUT", "/hostsets/web", `{"action":2,"setmembers":["none"]}`},
		{400, 46, "PUT", "/hostsets/web", `{"action":9,"setmembers":["web1"]}`},
		{400, 78, "PUT", "/hostsets/web", `{"setmembers":["web1"]}`},
		{501, 9, "PUT", "/hostsets/web", `{"newName":"w"}`},
		{409, 26, "DELETE", "/hostsets/web", ""},
		{409, 101, "POST", "/volumesets", `{"name":"apps"}`},
		{404, 23, "POST", "/volumesets", `{"name":"new","setmembers":["none"]}`},
		{501, 9, "POST", "/volumesets", `{"name":"new","flashCachePolicy":1}`},
		{404, 102, "DELETE", "/volumesets/none", ""},
		{501, 9, "PUT", "/volumesets/apps", `{"flashCachePolicy":1}`},
		{501, 9, "POST", "/volumesets/apps", `{"action":"createSnapshot","parameters":{"name":"s@count@"}}`},
		{404, 19, "GET", "/vluns/shop,9,web1", ""},
		{400, 40, "GET", "/vluns/shop", ""},
		{404, 19, "DELETE", "/vluns/shop,9,web1", ""},
		{404, 23, "DELETE", "/vluns/none,0,web1", ""},
		{400, 55, "DELETE", "/vluns/shop,0,web1,0:1:1", ""},
		{400, 39, "DELETE", "/vluns/shop,x,web1", ""},
		{400, 43, "DELETE", "/vluns/shop,16384,web1", ""},
		{409, 59, "POST", "/vluns", `{"volumeName":"shop","hostname":"web1","lun":3}`},
		{409, 59, "POST", "/vluns", `{"volumeName":"shop","hostname":"web2","lun":7}`},
		{404, 23, "POST", "/vluns", `{"volumeName":"none","hostname":"web1","lun":3}`},
		{404, 17, "POST", "/vluns", `{"volumeName":"shop","hostname":"none","lun":3}`},
		{404, 102, "POST", "/vluns", `{"volumeName":"shop","hostname":"set:none","lun":3}`},
		{400, 28, "POST", "/vluns", `{"volumeName":"shop","hostname":"web2","lun":16384}`},
		{400, 40, "POST", "/vluns", `{"volumeName":"shop","hostname":"web2"}`},
		{400, 1029, "POST", "/vluns", `{"volumeName":"shop","lun":1}`},
		{400, 55, "POST", "/vluns", `{"volumeName":"shop","lun":1,"hostname":"web2","portPos":{"node":0,"slot":1,"cardPort":1}}`},
		{404, 20, "GET", "/ports/0:9:9", ""},
		{400, 55, "GET", "/ports/x", ""},
	}
}

func groupErrors() []wrong {
	const g = "/remotecopygroups"
	return []wrong{
		{404, 187, "GET", g + "/none", ""},
		{409, 237, "POST", g, `{"name":"g","targets":[{"targetName":"array-b","mode":1}]}`},
		{403, 1003, "POST", g, `{"name":"h","targets":[{"targetName":"none","mode":1}]}`},
		{400, 46, "POST", g, `{"name":"h","targets":[{"targetName":"array-b","mode":9}]}`},
		{501, 9, "POST", g, `{"name":"h","targets":[{"targetName":"array-b","mode":4}]}`},
		{400, 57, "POST", g, `{"name":"` + strings.Repeat("x", 23) + `","targets":[{"targetName":"array-b","mode":1}]}`},
		{400, 69, "POST", g, `{"name":"a*","targets":[{"targetName":"array-b","mode":1}]}`},
		{400, 40, "POST", g, `{"name":"h"}`},
		{400, 1002, "POST", g, `{"name":"h","targets":[{"targetName":"array-b","mode":1},{"targetName":"array-b","mode":1}]}`},
		{409, 1001, "POST", g, `{"name":"h","targets":[{"targetName":"array-b","mode":1},{"targetName":"c","mode":1}]}`},
		{404, 15, "POST", g, `{"name":"h","targets":[{"targetName":"array-b","mode":1}],"localUserCPG":"none"}`},
		{404, 38, "POST", g, `{"name":"h","domain":"d","targets":[{"targetName":"array-b","mode":1}]}`},
		{403, 1109, "DELETE", g + "/g", ""},
		{404, 187, "DELETE", g + "/none", ""},
		{409, 26, "DELETE", g + "/g?removeVolumes=true", ""},
		{400, 12, "DELETE", g + "/g?removeVolumes=perhaps", ""},
		{404, 187, "PUT", g + "/none", `{"action":3}`},
		{400, 46, "PUT", g + "/g", `{"action":6}`},
		{403, 215, "PUT", g + "/g", `{"action":3}`},
		{400, 1017, "PUT", g + "/e", `{"action":3}`},
		{400, 1017, "PUT", g + "/e", `{"action":5}`},
		{501, 9, "PUT", g + "/g", `{"action":3,"skipInitialSync":true}`},
		{501, 9, "PUT", g + "/g", `{"action":5,"fullSync":true}`},
		{403, 1003, "PUT", g + "/g", `{"action":4,"targetName":"none"}`},
		{403, 1003, "PUT", g + "/g", `{"action":4,"targets":[{"targetName":"fur"}]}`},
		{403, 1003, "PUT", g + "/g", `{"action":3,"targets":[{"targetName":"fur"}]}`},
		{403, 1003, "PUT", g + "/g", `{"action":5,"targets":[{"targetName":"fur"}]}`},
		{403, 1010, "PUT", g + "/g", `{"action":4,"targets":[{"targetName":"array-b"},{"targetName":"fur"}]}`},
		{400, 40, "PUT", g + "/g", `{"action":4,"targets":[{}]}`},
		{400, 44, "PUT", g + "/g", `{"action":4,"targetName":"array-b","targets":[{"targetName":"fur"}]}`},
		{400, 44, "PUT", g + "/g", `{"action":4,"targets":[{"targetName":"array-b","mode":2}]}`},
		{404, 23, "PUT", g + "/g", `{"action":1,"volumeName":"none","volumeAutoCreation":true}`},
		{409, 1012, "PUT", g + "/g", `{"action":1,"volumeName":"shop","volumeAutoCreation":true}`},
		{403, 1014, "PUT", g + "/e", `{"action":1,"volumeName":"shop","volumeAutoCreation":true}`},
		{404, 1011, "PUT", g + "/g", `{"action":1,"volumeName":"own"}`},
		{403, 1015, "PUT", g + "/e", `{"action":1,"volumeName":"shop.1","volumeAutoCreation":true}`},
		{501, 9, "PUT", g + "/g", `{"action":1,"volumeName":"own","volumeAutoCreation":true,"targets":[{"targetName":"array-b","secVolumeName":"other"}]}`},
		{403, 1003, "PUT", g + "/g", `{"action":1,"volumeName":"own","volumeAutoCreation":true,"targets":[{"targetName":"none"}]}`},
		{403, 1010, "PUT", g + "/g", `{"action":1,"volumeName":"own","targets":[{},{}]}`},
		{404, 1016, "PUT", g + "/g", `{"action":2,"volumeName":"own"}`},
		{403, 1110, "PUT", g + "/g", `{"action":2,"volumeName":"shop","removeVolume":true}`},
		{409, 26, "PUT", g + "/g", `{"action":2,"volumeName":"shop","removeVolume":true,"removeSecondaryVolume":true}`},
		{403, 1110, "DELETE", g + "/g/volumes/shop?removeVolume=true", ""},
		{400, 115, "PUT", g + "/g", `{"targets":[{"syncPeriod":14}]}`},
		{400, 43, "PUT", g + "/g", `{"targets":[{"syncPeriod":31622401}]}`},
		{403, 1008, "PUT", g + "/g", `{"targets":[{"syncPeriod":300}]}`},
		{403, 1009, "PUT", g + "/g", `{"targets":[{"policies":{"overPeriodAlert":true}}]}`},
		{403, 1114, "PUT", g + "/g/hosts/web1", `{"proximity":"all"}`},
		{400, 46, "PUT", g + "/g/hosts/web1", `{"proximity":"near"}`},
		{404, 1024, "DELETE", g + "/g/hosts/web1", ""},
		{403, 1010, "PUT", g + "/g", `{"targets":[{},{}]}`},
		{400, 46, "POST", g + "/g", `{"action":3}`},
		{403, 1018, "POST", g + "/g", `{"action":7}`},
		{403, 1018, "POST", g + "/g", `{"action":10}`},
		{501, 9, "POST", g + "/g", `{"action":6,"localGroupsDirection":true}`},
		{501, 9, "POST", g + "/g", `{"action":9,"skipStart":true}`},
		{501, 9, "POST", g + "/g", `{"action":10,"skipStart":true}`},
		{501, 9, "POST", g + "/g", `{"action":9,"skipSync":true}`},
		{501, 9, "POST", g + "/g", `{"action":10,"skipSync":true}`},
		{501, 9, "POST", g + "/g", `{"action":7,"discardNewData":true}`},
		{501, 9, "POST", g + "/g", `{"action":9,"discardNewData":true}`},
		{501, 9, "POST", g + "/p", `{"action":7,"noSnapshot":true,"force":true}`},
		{501, 9, "POST", g + "/p", `{"action":7,"skipPromote":true,"force":true}`},
		{400, 44, "POST", g + "/g", `{"action":8,"force":true}`},
		{403, 1018, "POST", g + "/g", `{"action":7,"noSnapshot":true,"skipPromote":true,"skipStart":false,"skipSync":false}`},
		{400, 44, "PUT", g + "/g", `{"action":3,"fullSync":true}`},
		{400, 44, "PUT", g + "/g", `{"action":4,"volumeName":"shop"}`},
		{400, 44, "PUT", g + "/g", `{"action":2,"volumeName":"shop","volumeAutoCreation":true}`},
		{400, 44, "PUT", g + "/g", `{"volumeName":"shop"}`},
		{400, 44, "PUT", g + "/g", `{"targets":[{"secVolumeName":"shop"}]}`},
		{400, 44, "PUT", g + "/g", `{"action":1,"volumeName":"own","volumeAutoCreation":true,"targets":[{"targetName":"array-b","mode":1}]}`},
		{400, 44, "POST", g + "/g/volumes", `{"volumeName":"own","volumeAutoCreation":true,"removeVolume":true}`},
		{403, 1047, "PUT", g + "/p", `{"targets":[{"syncPeriod":600,"policies":{"activeActive":true}}]}`},
		{501, 9, "PUT", g + "/g", `{"action":2,"volumeName":"shop","keepSnap":true,"removeVolume":true,"removeSecondaryVolume":true}`},
		{501, 9, "DELETE", g + "/g/volumes/shop?keepSnap=true&removeVolume=true&removeSecondaryVolume=true", ""},
		{501, 9, "DELETE", g + "/g?keepSnap=true&removeVolumes=true", ""},
		{400, 40, "POST", g, `{"name":"h","targets":[{"targetName":"array-b"}]}`},
		{404, 1016, "GET", g + "/g/volumes/own", ""},
		{404, 1033, "GET", g + "/g/targets/none", ""},
		{409, 1001, "POST", g + "/g/targets", `{"targetName":"array-b","mode":2}`},
		{403, 1010, "DELETE", g + "/g/targets/array-b", ""},
		{404, 1033, "GET", "/remotecopytargets/none", ""},
		{501, 9, "PUT", "/remotecopytargets/array-b", `{"policies":{"mirrorConfig":false}}`},
		{404, 1034, "GET", "/remotecopylinks/none", ""},
		{404, 187, "GET", g + "/none/explain", ""},
		{404, 187, "POST", g + "/none/verify", ""},
		{404, 1112, "GET", "/witness", ""},
	}
}

func otherErrors() []wrong {
	return []wrong{
		{404, 11, "GET", "/volumes/../../x", ""},
		{404, 11, "GET", "//volumes", ""},
		{400, 39, "POST", "/volumes", " null"},
		{404, 15, "GET", "/cpgs/none", ""},
		{404, 15, "PUT", "/cpgs/none", `{"growthLimitMiB":512}`},
		{400, 44, "PUT", "/cpgs/cpg0", `{"growthLimitMiB":512,"rmGrowthLimit":true}`},
		{400, 40, "PUT", "/cpgs/cpg0", `{}`},
		{501, 9, "POST", "/cpgs", `{"name":"x"}`},
		{404, 15, "POST", "/spacereporter", `{"cpg":"none"}`},
		{404, 145, "GET", "/tasks/99", ""},
		{400, 39, "GET", "/tasks/x", ""},
		{400, 115, "GET", "/tasks/0", ""},
		{400, 39, "GET", "/tasks/99?wait=x", ""},
		{400, 115, "GET", "/tasks/99?wait=-1", ""},
		{400, 43, "GET", "/tasks/99?wait=61", ""},
		{404, 145, "GET", "/tasks/99?wait=1", ""},
		{404, 145, "PUT", "/tasks/99", `{"action":1}`},
		{400, 46, "PUT", "/tasks/99", `{"action":2}`},
		{400, 40, "PUT", "/tasks/99", `{}`},
		{400, 39, "GET", "/eventlog?since=x", ""},
		{400, 12, "GET", "/eventlog/hours:1", ""},
		{400, 12, "GET", "/volumes?query=nonsense+EQ+x", ""},
		{400, 12, "GET", "/volumes?query=name+EQ", ""},
		{400, 12, "GET", "/volumes?query=name+EQ+a%", ""},
		{400, 12, "GET", "/volumes?query=name+EQ+a;", ""},
		{400, 12, "GET", "/volumes?query=name+EQ+a&query=name+EQ+b", ""},
		{400, 12, "GET", "/volumes/own?query=name+EQ+a", ""},
		{400, 57, "GET", "/volumes?query=" + strings.Repeat("x", 17<<10), ""},
		{404, 100, "GET", "/qos/vvset:none", ""},
		{404, 100, "GET", "/qos/sys:all_others", ""},
		{404, 100, "DELETE", "/qos/vvset:none", ""},
		{409, 114, "POST", "/qos", `{"name":"apps","type":1,"ioMaxLimit":1}`},
		{404, 102, "POST", "/qos", `{"name":"none","type":1,"ioMaxLimit":1}`},
		{400, 40, "POST", "/qos", `{"type":1,"ioMaxLimit":1}`},
		{400, 46, "POST", "/qos", `{"name":"none","type":2,"ioMaxLimit":1}`},
		{400, 40, "POST", "/qos", `{"name":"none","ioMaxLimit":1}`},
		{501, 9, "POST", "/qos", `{"name":"sys:all_others","type":3,"ioMaxLimit":1}`},
		{501, 9, "POST", "/qos", `{"name":"all_others","type":3,"ioMaxLimit":1}`},
		{501, 9, "PUT", "/qos/sys:all_others", `{"ioMaxLimit":1}`},
		{501, 9, "DELETE", "/flashcache", ""},
		{501, 9, "GET", "/volumespacedistribution", ""},
		{501, 9, "GET", "/portdevices/all/0:1:1", ""},
		{501, 9, "GET", "/ports/0:1:1/iSCSIVlans", ""},
		{501, 9, "PUT", "/ports/0:1:1/iSCSIVlans/7", `{}`},
		{400, 12, "POST", "/qos", `{"name":"none","type":1,"nothing":1}`},
		{400, 43, "PUT", "/qos/vvset:apps", `{"ioMaxLimit":99999999999}`},
		{400, 115, "PUT", "/qos/vvset:apps", `{"bwMaxLimitKB":-1}`},
		{400, 44, "PUT", "/qos/vvset:apps", `{"ioMaxLimit":1,"ioMaxLimitOP":2}`},
		{501, 9, "PUT", "/qos/vvset:apps", `{"ioMaxLimitOP":1}`},
		{400, 46, "PUT", "/qos/vvset:apps", `{"priority":7}`},
		{400, 44, "PUT", "/qos/vvset:apps", `{"latencyGoal":1,"latencyGoaluSecs":1}`},
		{501, 9, "GET", "/flashcache", ""},
		{501, 9, "GET", "/systemreporter/vstime/cpgstatistics/hires", ""},
		{404, 1035, "GET", "/users/none", ""},
		{404, 1036, "GET", "/roles/none", ""},
		{404, 11, "GET", "/nothing", ""},
		{405, 1111, "POST", "/system", ""},
		{405, 1111, "PATCH", "/volumes", ""},
		{413, 4, "POST", "/volumes", strings.Repeat(" ", maxBody+1)},
	}
}

// TestErrors: what a request that can't be met is answered, and that it changed nothing.
func TestErrors(t *testing.T) {
	a, _ := furnish(t)
	a.wants(http.StatusCreated, "POST", "/api/v1/remotecopygroups", `{"name":"e","targets":[{"targetName":"array-b","mode":1}]}`)
	a.wants(http.StatusCreated, "POST", "/api/v1/remotecopygroups", `{"name":"p","targets":[{"targetName":"array-b","mode":2}]}`)
	before := volumesText(a)
	for _, group := range [][]wrong{volumeErrors(), hostErrors(), groupErrors(), otherErrors()} {
		for _, w := range group {
			path := "/api/v1" + w.path
			a.refuses(w.status, w.code, w.method, path, w.body)
		}
	}
	if after := volumesText(a); after != before {
		t.Errorf("refused requests changed something:\n%s\n%s", before, after)
	}
	if p := get[groupTarget](a, "/api/v1/remotecopygroups/p/targets/array-b"); !p.Policies.OverPeriodAlert || p.SyncPeriod == 600 {
		t.Errorf("a request with two changes made one: %+v", p)
	}
}

// volumesText is what volumes, hosts and exports there are.
func volumesText(f *face) string {
	var names []string
	for _, v := range get[collection[volume]](f, "/api/v1/volumes").Members {
		names = append(names, v.Name, v.Comment)
	}
	for _, h := range get[collection[host]](f, "/api/v1/hosts").Members {
		names = append(names, h.Name)
	}
	for _, v := range get[collection[vlun]](f, "/api/v1/vluns").Members {
		names = append(names, v.VolumeName+" to "+v.Hostname)
	}
	return strings.Join(names, ",")
}

// TestStoppedAndBusy: what is refused of a group that is not in sync, or whose other array
// is lost.
func TestStoppedAndBusy(t *testing.T) {
	a, b := furnish(t)
	const g = "/api/v1/remotecopygroups/g"
	b.refuses(403, 1019, "POST", g, `{"action":7}`) // started, and the other array serves it
	a.wants(200, "PUT", g, `{"action":4}`)
	a.until("the stop", func() bool { return get[group](a, g).Targets[0].State == stateStopped })
	a.refuses(403, 1032, "POST", g, `{"action":8}`)
	a.wants(200, "PUT", g, `{"action":3}`)
	a.synced()
	a.wants(200, "POST", g, `{"action":8}`)
	b.until("the switchover", func() bool { x, err := b.n.Group("g"); return err == nil && x.ServedHere })
	if x := get[group](b, g); x.Role != rolePrimary || !x.Targets[0].RoleReversed || x.ServingArray != "array-b" {
		t.Errorf("%+v", x)
	}
	a.wants(200, "POST", g, `{"action":10}`) // passed on to b
	a.until("the way home", func() bool { x, err := a.n.Group("g"); return err == nil && x.ServedHere })
}

// TestEveryCollectionKnowsItsParameters: what a list is not asked with is refused.
func TestEveryCollectionKnowsItsParameters(t *testing.T) {
	a, _ := furnish(t)
	lists := 0
	for _, r := range routes() {
		if r.method != http.MethodGet || len(r.query) == 0 || strings.Contains(r.path, "{") {
			continue
		}
		lists++
		a.refuses(http.StatusBadRequest, 12, "GET", base+r.path+"?filter=x", "")
		for _, name := range r.query {
			a.refuses(http.StatusBadRequest, 12, "GET", base+r.path+"?"+name+"=1&"+name+"=1", "")
		}
	}
	if lists < 15 {
		t.Errorf("only %d lists were asked", lists)
	}
}
