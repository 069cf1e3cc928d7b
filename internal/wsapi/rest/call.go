// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// call is one request under way.
type call struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	who  people.Session
	body []byte
}

// array is it as the caller sees it.
func (c *call) array() *node.View { return c.s.cfg.Array.As(node.CallerOf(c.who, "rest")) }

// run carries a command out.
func (c *call) run(words ...string) error {
	_, err := c.array().Do(c.r.Context(), c.asked(words...))
	return err
}

// asked is a command as this caller's.
func (c *call) asked(words ...string) node.Asked {
	return node.Asked{By: node.CallerOf(c.who, "rest"), Words: words}
}

// task begins a long command and answers with its number.
func (c *call) task(kind, about, location string, words ...string) (answer, error) {
	f, err := c.array().StartTask(c.r.Context(), kind, about, c.asked(words...))
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, location: location, body: taskStarted{ID: f.ID}}, nil
}

func fail(code wsapi.Code, ref, format string, args ...any) error {
	return &wsapi.Failure{Code: code, Ref: ref, Text: fmt.Sprintf(format, args...)}
}

// meant gives an error of these reasons the code that it has of this request.
func meant(err error, code wsapi.Code, of ...array.Reason) error {
	if r := array.ReasonOf(err); r != array.Unspecified && slices.Contains(of, r) {
		return fail(code, "", "%v", err)
	}
	return err
}

// decode reads the body. What it has beside the members of to is refused: a client that
// means something by it should know that it is not done.
func (c *call) decode(to any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return fail(wsapi.InputEnds, "", "the request has no body")
	}
	if bytes.Equal(bytes.TrimSpace(c.body), []byte("null")) { // which a decoder takes for anything
		return fail(wsapi.WrongType, "", "the body is null: want an object")
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return wrongType(wrong)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(wsapi.InputEnds, "", "the body ends early")
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return fail(wsapi.BadInput, name, "%q is not known here", name)
	case err != nil:
		return fail(wsapi.BadJSON, "", "the body is not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fail(wsapi.BadJSON, "", "the body has something after its object")
	}
	return exactly(c.body, reflect.TypeOf(to))
}

// knows refuses a query string with what the route does not know, as decode does a body. One
// that can't be read would else select everything.
func (c *call) knows(t route) error {
	given, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return fail(wsapi.BadInput, "query", "the query string can't be read: %v; it has to be percent-encoded", err)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case !slices.Contains(t.query, name) && len(t.query) == 0:
			return fail(wsapi.BadInput, name, "%.40q is not known here: want nothing in the query string", name)
		case !slices.Contains(t.query, name):
			return fail(wsapi.BadInput, name, "%.40q is not known here: want %s", name, strings.Join(t.query, ", "))
		case len(given[name]) > 1:
			return fail(wsapi.BadInput, name, "%s is given %d times: want it once", name, len(given[name]))
		}
	}
	return nil
}

// nameLike is what a name may be: none can pass for an option or for several words.
var nameLike = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

const maxName = 31

// name finds out whether a text is a name.
func name(ref, text string) error {
	switch {
	case text == "":
		return fail(wsapi.EmptyString, ref, "%s is empty: want a name", ref)
	case len(text) > maxName:
		return fail(wsapi.TooLong, ref, "%s has %d characters: want at most %d", ref, len(text), maxName)
	case !nameLike.MatchString(text):
		return fail(wsapi.IllegalChar, ref, "%s is %q: want letters, digits, '.', '_' or '-'", ref, text)
	}
	return nil
}

// named returns the part of the path of that name.
func (c *call) named(part string) (string, error) {
	text := c.r.PathValue(part)
	return text, name(part, text)
}

// required is name for a member that must be there.
func required(ref, text string) error {
	if text == "" {
		return fail(wsapi.Missing, ref, "%s is missing", ref)
	}
	return name(ref, text)
}

// text finds out whether a member can be what people wrote.
func text(ref, s string, most int) error {
	if len(s) > most {
		return fail(wsapi.TooLong, ref, "%s has %d bytes: want at most %d", ref, len(s), most)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return fail(wsapi.IllegalChar, ref, "%s has characters that are no text", ref)
	}
	return nil
}

// between refuses numbers outside a range.
func between(ref string, n, low, high int64) error {
	switch {
	case n < low:
		return fail(wsapi.BelowRange, ref, "%s is %d: want at least %d", ref, n, low)
	case n > high:
		return fail(wsapi.AboveRange, ref, "%s is %d: want at most %d", ref, n, high)
	}
	return nil
}

// flag reads a member of the query string that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch v := strings.Trim(c.r.URL.Query().Get(name), `"`); strings.ToLower(v) {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, fail(wsapi.BadInput, name, "%s is %q: want true or false", name, v)
	}
}
