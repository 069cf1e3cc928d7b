// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"encoding/json"
	"path"
	"reflect"
	"strconv"
	"strings"
)

// collection is what lists are answered as.
type collection[T any] struct {
	Total   int `json:"total"`
	Members []T `json:"members"`
}

// collect answers with those members that the query selects.
func collect[T any](c *call, members []T) (answer, error) {
	q := c.r.URL.Query().Get("query")
	if q == "" {
		return ok(collection[T]{Total: len(members), Members: append([]T{}, members...)})
	}
	f, err := parseFilter(q)
	if err != nil {
		return answer{}, err
	}
	if err := f.check(reflect.TypeFor[T]()); err != nil {
		return answer{}, err
	}
	out := collection[T]{Members: []T{}}
	for _, m := range members {
		b, err := json.Marshal(m)
		if err != nil {
			return answer{}, err
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			return answer{}, err
		}
		if f.holds(v) {
			out.Members = append(out.Members, m)
		}
	}
	out.Total = len(out.Members)
	return ok(out)
}

// check refuses members that objects of the type never have: nothing would match, and
// nobody would know why.
func (f *filter) check(t reflect.Type) error {
	for _, g := range append(append([]filter(nil), f.any...), f.all...) {
		if err := g.check(t); err != nil {
			return err
		}
	}
	if f.member == "" {
		return nil
	}
	m, found := memberOf(t, f.member)
	if !found {
		return badQuery("there is no member %q", f.member)
	}
	if f.of == nil {
		return nil
	}
	for m.Kind() == reflect.Slice || m.Kind() == reflect.Pointer {
		m = m.Elem()
	}
	if m.Kind() != reflect.Struct {
		return badQuery("%s is no list of objects", f.member)
	}
	return f.of.check(m)
}

// memberOf returns the type of a member, by its name in JSON, which clients spell in
// several ways.
func memberOf(t reflect.Type, name string) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range t.NumField() {
		field := t.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && tag == "" {
			if m, ok := memberOf(field.Type, name); ok {
				return m, true
			}
		}
		if strings.EqualFold(tag, name) && tag != "-" {
			return field.Type, true
		}
	}
	return nil, false
}

// holds reports whether an object, as JSON has it, is selected.
func (f *filter) holds(v any) bool {
	switch {
	case len(f.any) > 0:
		for i := range f.any {
			if f.any[i].holds(v) {
				return true
			}
		}
		return false
	case len(f.all) > 0:
		for i := range f.all {
			if !f.all[i].holds(v) {
				return false
			}
		}
		return true
	}
	o, _ := v.(map[string]any)
	var m any
	for k, x := range o {
		if strings.EqualFold(k, f.member) {
			m = x
		}
	}
	if list, is := m.([]any); is {
		for _, x := range list {
			if f.of != nil && f.of.holds(x) || f.of == nil && f.compares(x) {
				return true
			}
		}
		return false
	}
	if f.of != nil {
		return f.of.holds(m)
	}
	return f.compares(m)
}

func (f *filter) compares(v any) bool {
	d := 0
	switch x := v.(type) {
	case nil:
		return f.op == "NE"
	case string:
		if f.op == "LIKE" {
			is, _ := path.Match(strings.ReplaceAll(f.value, "%", "*"), x)
			return is
		}
		d = cmp.Compare(x, f.value)
	case float64:
		n, err := strconv.ParseFloat(f.value, 64)
		if err != nil {
			return f.op == "NE"
		}
		d = cmp.Compare(x, n)
	case bool:
		if d = 1; strconv.FormatBool(x) == strings.ToLower(f.value) {
			d = 0
		}
	default:
		return false
	}
	switch f.op {
	case "EQ":
		return d == 0
	case "NE":
		return d != 0
	case "LT":
		return d < 0
	case "GT":
		return d > 0
	case "LE":
		return d <= 0
	case "GE":
		return d >= 0
	}
	return false
}
