// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"

	"github.com/perdure/perdure/internal/wsapi"
)

// What encoding/json lets through and a client should hear of: members that are spelt with
// other case, of which it takes the last, and members that are there twice.

// exactly refuses them in a body that was decoded to a value of type t.
func exactly(body []byte, t reflect.Type) error {
	return value(json.NewDecoder(bytes.NewReader(body)), t, "")
}

// value reads one value of a type, nil for any.
func value(d *json.Decoder, t reflect.Type, at string) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		t = nil // it is looked at when it is decoded
	}
	token, err := d.Token()
	if err != nil {
		return fail(wsapi.BadJSON, "", "the body is not JSON: %v", err)
	}
	switch token {
	case json.Delim('{'):
		if err := membersOf(d, t, at); err != nil {
			return err
		}
	case json.Delim('['):
		var of reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			of = t.Elem()
		}
		for d.More() {
			if err := value(d, of, at); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = d.Token() // its end
	return err
}

// membersOf reads the members of an object.
func membersOf(d *json.Decoder, t reflect.Type, at string) error {
	known, seen := fieldsOf(t), map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fail(wsapi.BadJSON, "", "the body is not JSON: %v", err)
		}
		name, _ := token.(string)
		ref := strings.TrimPrefix(at+"."+name, ".")
		of, is := known[name]
		switch {
		case seen[name]:
			return fail(wsapi.BadInput, ref, "%.80q is there twice: want it once", ref)
		case known != nil && !is:
			return fail(wsapi.BadInput, ref, "%.80q is not known here: the case of letters counts", ref)
		case t != nil && t.Kind() == reflect.Map:
			of = t.Elem()
		}
		seen[name] = true
		if err := value(d, of, ref); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf are the members of a struct by their names, nil of another type.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	all := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			all[name] = f.Type
		}
	}
	return all
}

// whole is a number without a fraction, as JSON has it.
var whole = regexp.MustCompile(`^number -?[0-9]+$`)

// wrongType says what a member is, and what it should be.
func wrongType(err *json.UnmarshalTypeError) error {
	about := err.Field
	if about == "" {
		about = "the body"
	}
	kind, _ := schema(err.Type)["type"].(string)
	switch number, is := strings.CutPrefix(err.Value, "number "); {
	case is && strings.HasPrefix(number, "-") && whole.MatchString(err.Value) && kind == "integer":
		return fail(wsapi.BelowRange, err.Field, "%s is %.40s: that is too small a number", about, number)
	case is && (whole.MatchString(err.Value) && kind == "integer" || kind == "number"):
		return fail(wsapi.AboveRange, err.Field, "%s is %.40s: that is too large a number", about, number)
	}
	is, _, _ := strings.Cut(err.Value, " ")
	return fail(wsapi.WrongType, err.Field, "%s is %s: want %s", about, withArticle(is), withArticle(kind))
}

func withArticle(word string) string {
	if word == "bool" {
		word = "boolean"
	}
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
