// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The description is made of the table of routes: what is not in the one is not in the
// other.

type object = map[string]any

func getOpenAPI(*call) (answer, error) { return ok(description()) }

func description() object {
	paths := object{"/api": object{"get": operation(versionRoute())}}
	for _, r := range routes() {
		path := base + strings.ReplaceAll(r.path, "...}", "}")
		p, _ := paths[path].(object)
		if p == nil {
			p = object{}
		}
		p[strings.ToLower(r.method)] = operation(r)
		paths[path] = p
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Perdure", "version": apiVersion,
			"description": "The Web Services API, version 1, of the arrays that Perdure succeeds, and what it has beside. See docs/rest.md and docs/compatibility.md.",
		},
		"paths": paths,
		"components": object{
			"securitySchemes": object{"session": object{"type": "apiKey", "in": "header", "name": sessionHeader}},
			"schemas":         object{"failure": schema(reflect.TypeFor[failure]())},
		},
	}
}

// parameter returns the name of the parameter that a segment of a route's path is.
func parameter(segment string) (name string, is bool) {
	name, is = strings.CutPrefix(segment, "{")
	return strings.TrimSuffix(strings.TrimSuffix(name, "}"), "..."), is
}

func operation(r route) object {
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	success := object{"description": http.StatusText(status)}
	if r.out != nil {
		success["content"] = content(r.out)
	}
	wrong := object{"description": "what is wrong", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/failure"}}}}
	o := object{"summary": r.about, "responses": object{strconv.Itoa(status): success, "default": wrong}}
	if !r.open {
		o["security"] = []object{{"session": []string{}}}
		o["x-right"] = string(r.right)
	}
	if r.own {
		o["x-perdure"] = true
	}
	like, values, shown := exampleOf(r)
	if r.in != nil {
		body := content(r.in)
		if shown && like.body != "" {
			body["application/json"].(object)["example"] = json.RawMessage(like.body)
		}
		o["requestBody"] = object{"content": body}
	}
	var params []object
	add := func(name, in, value string, must bool) {
		p := object{"name": name, "in": in, "schema": object{"type": "string"}}
		if must {
			p["required"] = true
		}
		if value != "" {
			p["example"] = value
		}
		params = append(params, p)
	}
	for _, segment := range strings.Split(r.path, "/") {
		if name, is := parameter(segment); is {
			add(name, "path", values[name], true)
		}
	}
	_, query, _ := strings.Cut(like.path, "?")
	given, _ := url.ParseQuery(query) // the examples are played by a test
	for _, q := range r.query {
		add(q, "query", given.Get(q), false)
	}
	if params != nil {
		o["parameters"] = params
	}
	return o
}

func content(example any) object {
	return object{"application/json": object{"schema": schema(reflect.TypeOf(example))}}
}

// schema describes what a type is as JSON.
func schema(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		if t == reflect.TypeFor[json.RawMessage]() {
			return object{"type": "object"}
		}
		return object{"type": "array", "items": schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem())}
	case reflect.Struct:
		members, must := object{}, []string{}
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if t.Field(i).Anonymous && name == "" { // its members are this one's
				inner := schema(t.Field(i).Type)
				maps.Copy(members, inner["properties"].(object))
				more, _ := inner["required"].([]string)
				must = append(must, more...)
			}
			if name == "" || name == "-" {
				continue
			}
			members[name] = schema(t.Field(i).Type)
			if !strings.Contains(options, "omit") {
				must = append(must, name)
			}
		}
		o := object{"type": "object", "properties": members}
		if len(must) > 0 {
			o["required"] = must
		}
		return o
	}
	return object{"type": "integer"}
}

// paths are those of the description, sorted.
func paths(d object) []string {
	p, _ := d["paths"].(object)
	return slices.Sorted(maps.Keys(p))
}
