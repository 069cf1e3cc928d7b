// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"strings"

	"github.com/perdure/perdure/internal/wsapi"
)

// A filter is what ?query= says: comparisons of members, as "volumeName EQ v", joined by
// AND and OR, and for members that are lists of objects comparisons in brackets, as
// "iSCSIPaths[name==iqn.x OR name==iqn.y]". AND binds closer.

const (
	maxQuery = 16 << 10
	maxDepth = 8
	maxTerms = 512
)

// filter is a node of the parsed query.
type filter struct {
	// any or all of these hold, if there are.
	any, all []filter
	// else the member compares so with the value, or has an element for which of holds.
	member, op, value string
	of                *filter
}

type parser struct {
	words []string
	terms int
}

// parseFilter reads a query.
func parseFilter(text string) (*filter, error) {
	if len(text) > maxQuery {
		return nil, fail(wsapi.TooLong, "query", "the query has %d bytes: want at most %d", len(text), maxQuery)
	}
	text = strings.TrimSpace(text)
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	p := &parser{words: words}
	f, err := p.or(0)
	if err == nil && len(p.words) > 0 {
		err = badQuery("%q is too much", p.words[0])
	}
	return &f, err
}

func badQuery(format string, args ...any) error {
	return fail(wsapi.BadInput, "query", "the query: "+format, args...)
}

// split cuts a query into words, operators, brackets and quoted values, which keep their
// first quotation mark.
func split(s string) (words []string, err error) {
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return words, nil
		}
		n := 0
		switch {
		case strings.ContainsRune("[]()", rune(s[0])):
			n = 1
		case operatorAt(s) > 0:
			n = operatorAt(s)
		case s[0] == '"' || s[0] == '\'':
			end := strings.IndexByte(s[1:], s[0])
			if end < 0 {
				return nil, badQuery("a quotation mark has no end")
			}
			words = append(words, `"`+s[1:1+end])
			s = s[end+2:]
			continue
		default:
			for n < len(s) && !strings.ContainsRune(" \t[]()", rune(s[n])) && operatorAt(s[n:]) == 0 {
				n++
			}
		}
		words = append(words, s[:n])
		s = s[n:]
	}
}

// operatorAt returns the length of the symbol that s begins with. A single '=' is none:
// it may be in a value.
func operatorAt(s string) int {
	for _, o := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if strings.HasPrefix(s, o) {
			return len(o)
		}
	}
	return 0
}

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) next() string {
	w := p.peek()
	if len(p.words) > 0 {
		p.words = p.words[1:]
	}
	return w
}

func (p *parser) or(depth int) (filter, error) {
	var f filter
	for {
		g, err := p.and(depth)
		if err != nil {
			return f, err
		}
		f.any = append(f.any, g)
		if !strings.EqualFold(p.peek(), "OR") {
			return f, nil
		}
		p.next()
	}
}

func (p *parser) and(depth int) (filter, error) {
	var f filter
	for {
		g, err := p.term(depth)
		if err != nil {
			return f, err
		}
		f.all = append(f.all, g)
		if !strings.EqualFold(p.peek(), "AND") {
			return f, nil
		}
		p.next()
	}
}

func (p *parser) term(depth int) (f filter, err error) {
	if p.terms++; p.terms > maxTerms || depth > maxDepth {
		return f, badQuery("it is too long: want at most %d comparisons, %d deep", maxTerms, maxDepth)
	}
	if p.peek() == "(" {
		p.next()
		if f, err = p.or(depth + 1); err == nil && p.next() != ")" {
			err = badQuery("a ( has no )")
		}
		return f, err
	}
	f.member = p.next()
	if f.member == "" || strings.ContainsAny(f.member[:1], `"[]()<>=!`) {
		return f, badQuery("%q where the name of a member should be", f.member)
	}
	if p.peek() == "[" {
		p.next()
		of, err := p.or(depth + 1)
		if err == nil && p.next() != "]" {
			err = badQuery("a [ has no ]")
		}
		f.of = &of
		return f, err
	}
	if f.op, err = operator(p.next()); err != nil {
		return f, err
	}
	if f.value = p.next(); f.value == "" || strings.ContainsAny(f.value[:1], "[]()") {
		return f, badQuery("%s %s has no value", f.member, f.op)
	}
	f.value = strings.TrimPrefix(f.value, `"`)
	return f, nil
}

func operator(word string) (string, error) {
	switch o := strings.ToUpper(word); o {
	case "==", "EQ":
		return "EQ", nil
	case "!=", "NE":
		return "NE", nil
	case "<", "LT":
		return "LT", nil
	case ">", "GT":
		return "GT", nil
	case "<=", "LE":
		return "LE", nil
	case ">=", "GE":
		return "GE", nil
	case "LIKE":
		return o, nil
	}
	return "", badQuery("%q: want EQ, NE, LT, GT, LE, GE or LIKE", word)
}
