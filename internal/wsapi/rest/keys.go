// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"slices"

	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func keyRoutes() []route {
	const all, one = "/volumes/{volume}/objectKeyValues", "/volumes/{volume}/objectKeyValues/{key}"
	return []route{
		{method: "GET", path: all, right: people.Look, about: "pairs of key and value that programs keep with a volume", out: collection[keyValue]{}, query: filtered, do: getKeys},
		{method: "POST", path: all, right: people.Change, about: "add one", in: keyValue{}, status: 201, do: postKey},
		{method: "GET", path: one, right: people.Look, about: "one of them", out: keyValue{}, do: getKey},
		{method: "PUT", path: one, right: people.Change, about: "set it, whether it is there or not", in: valueOf{}, do: putKey},
		{method: "DELETE", path: one, right: people.Change, about: "remove it", do: deleteKey},
	}
}

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type valueOf struct {
	Value *string `json:"value"`
}

// A key has at most as many bytes as a name.
const maxValue = 511

func (k keyValue) check() error {
	if k.Key == "" {
		return fail(wsapi.Missing, "key", "key is missing")
	}
	if err := text("key", k.Key, maxName); err != nil {
		return err
	}
	if err := name("key", k.Key); err != nil {
		return err
	}
	return text("value", k.Value, maxValue)
}

func keys(c *call) (which string, all []keyValue, err error) {
	if which, err = c.named("volume"); err != nil {
		return "", nil, err
	}
	f, err := c.array().Volume(which)
	for k, v := range f.Keys {
		all = append(all, keyValue{k, v})
	}
	slices.SortFunc(all, func(a, b keyValue) int { return cmp.Compare(a.Key, b.Key) })
	return which, all, err
}

func getKeys(c *call) (answer, error) {
	_, all, err := keys(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

func postKey(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	var in keyValue
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.check(); err != nil {
		return answer{}, err
	}
	if err := c.run("setvv", "-setkvifnotexist", in.Key+"="+in.Value, which); err != nil {
		return answer{}, err
	}
	return created(base + "/volumes/" + which + "/objectKeyValues/" + in.Key)
}

func getKey(c *call) (answer, error) {
	which, all, err := keys(c)
	if err != nil {
		return answer{}, err
	}
	key := c.r.PathValue("key")
	if err := (keyValue{Key: key}).check(); err != nil {
		return answer{}, err
	}
	for _, k := range all {
		if k.Key == key {
			return ok(k)
		}
	}
	return answer{}, fail(wsapi.NoKey, "", "volume %s has no key %s", which, key)
}

func putKey(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	var in valueOf
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Value == nil {
		return answer{}, fail(wsapi.Missing, "value", "value is missing")
	}
	k := keyValue{Key: c.r.PathValue("key"), Value: *in.Value}
	if err := k.check(); err != nil {
		return answer{}, err
	}
	if err := c.run("setvv", "-setkv", k.Key+"="+k.Value, which); err != nil {
		return answer{}, err
	}
	return done(base + "/volumes/" + which + "/objectKeyValues/" + k.Key)
}

func deleteKey(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	k := keyValue{Key: c.r.PathValue("key")}
	if err := k.check(); err != nil {
		return answer{}, err
	}
	if err := c.run("setvv", "-clrkey", k.Key, which); err != nil {
		return answer{}, err
	}
	return done("")
}
