// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"reflect"
	"slices"
	"strings"
)

// Unknown tells of a key that the file may not have, and which keys its section has. config is
// the struct that the file is read into.
func Unknown(config any, key []string) string {
	t, section := reflect.TypeOf(config), []string(nil)
	for _, name := range key {
		next, is := below(t, name)
		if !is {
			break
		}
		t, section = next, append(section, name)
	}
	text := strings.Join(key, ".") + ": want "
	if len(section) > 0 {
		text = strings.Join(key, ".") + ": in " + strings.Join(section, ".") + " want "
	}
	return text + listed(keys(t))
}

// table is the struct that a type is, or has one or some of.
func table(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct
}

// below is the table of a name within another.
func below(t reflect.Type, name string) (reflect.Type, bool) {
	t, is := table(t)
	for i := 0; is && i < t.NumField(); i++ {
		if f := t.Field(i); keyOf(f) == name {
			in, is := table(f.Type)
			return in, is && len(keys(in)) > 0
		}
	}
	return nil, false
}

func keyOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	if name == "-" {
		return ""
	}
	return name
}

func keys(t reflect.Type) (all []string) {
	t, is := table(t)
	for i := 0; is && i < t.NumField(); i++ {
		if k := keyOf(t.Field(i)); k != "" {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return all
}

func listed(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}
