// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/perdure/perdure/internal/wsapi"
)

// TestWhatABodyIsNot: refusals that name the member and say what would be right.
func TestWhatABodyIsNot(t *testing.T) {
	for _, x := range []struct{ body, want string }{
		{`["a"]`, "the body is an array: want an object"},
		{`"a"`, "the body is a string: want an object"},
		{`{"name":7}`, "name is a number: want a string"},
		{`{"sizeMiB":"7"}`, "sizeMiB is a string: want an integer"},
		{`{"sizeMiB":1.5}`, "sizeMiB is a number: want an integer"},
		{`{"sizeMiB":true}`, "sizeMiB is a boolean: want an integer"},
		{`{"objectKeyValues":{}}`, "objectKeyValues is an object: want an array"},
		{`{"sizeMiB":9223372036854775808}`, "sizeMiB is 9223372036854775808: that is too large a number"},
		{`{"sizeMiB":-9223372036854775809}`, "sizeMiB is -9223372036854775809: that is too small a number"},
		{`{"Name":"x"}`, `"Name" is not known here: the case of letters counts`},
		{`{"policies":{"System":true}}`, `"policies.System" is not known here: the case of letters counts`},
		{`{"name":"x","comment":"c","name":"x"}`, `"name" is there twice: want it once`},
		{`{"name":"x","NAME":"y"}`, `"NAME" is not known here: the case of letters counts`},
	} {
		err := (&call{body: []byte(x.body)}).decode(&newVolume{})
		if err == nil || err.Error() != x.want {
			t.Errorf("%s: %v; want %s", x.body, err, x.want)
		}
	}
	var m ruleMods // of a struct within another one
	var n newRule
	for _, to := range []any{&m, &n} {
		if err := (&call{body: []byte(`{"ioMaxLimit":1,"enable":true}`)}).decode(to); err != nil {
			t.Error(err)
		}
		if err := (&call{body: []byte(`{"ioMaxLimit":1,"iomaxlimit":2}`)}).decode(to); err == nil {
			t.Error("a member in other case was taken")
		}
	}
}

// FuzzDecode: a body is refused with 400, or each of its members is one by its very name, once.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","cpg":"c","sizeMiB":1}`, `{"name":"a","NAME":"b"}`, `{"name":"a","name":"b"}`, `[1]`, `{"sizeMiB":99999999999999999999}`,
		`{"policies":{"system":true,"SYSTEM":false}}`, `{"objectKeyValues":[{"key":"a","Key":"b"}]}`, `{"n\u0061me":"x","name":"y"}`, `{"name":"x"}{}`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	known := fieldsOf(reflect.TypeFor[newVolume]())
	f.Fuzz(func(t *testing.T, body []byte) {
		var v newVolume
		err := (&call{body: body}).decode(&v)
		var x *wsapi.Failure
		if err != nil {
			if !errors.As(err, &x) || x.Code.Status != 400 || x.Text == "" {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		for name := range members {
			if known[name] == nil {
				t.Fatalf("%q: %q was taken", body, name)
			}
		}
		d, count := json.NewDecoder(bytes.NewReader(body)), 0
		if first, _ := d.Token(); first != json.Delim('{') { // null
			return
		}
		for ; d.More(); count++ {
			var skipped json.RawMessage
			_, _ = d.Token()
			_ = d.Decode(&skipped)
		}
		if count != len(members) {
			t.Fatalf("%q has %d members of %d names, and was taken", body, count, len(members))
		}
	})
}
