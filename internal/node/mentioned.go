// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// maxTextWords bounds the words of a text that are looked up.
const maxTextWords = 256

// domainOfText is the domain of the objects that a text for people names, as "group g" or
// "volume v"; empty if it names none in a domain, or any outside of it. An event is told so
// when it happens, while the names are whose they are.
func (n *Node) domainOfText(text string) (domain string) {
	words := textWords(text)
	if err := n.store.View(func(t *store.Tx) error {
		if any, err := anyPlaced(t); err != nil || !any {
			return err
		}
		said, others := map[string]bool{}, map[string]bool{}
		for i, w := range words {
			for _, kind := range []string{vvKind, groupKind, hostKind, cpgKind, hostSetKind, vvSetKind} {
				key, before := keyOf(kind, w), kindBefore(words[:i], kind)
				if kind == vvKind {
					v, ok, err := n.vvNamed(t, w)
					if err != nil {
						return err
					}
					if !ok {
						continue // what a volume was called before, or "volume is"
					}
					key = keyOf(cpgKind, v.CPG)
				}
				d, err := domainIn(t, key)
				if err != nil {
					return err
				}
				if before {
					said[d] = true
				} else if d != "" {
					others[d] = true
				}
			}
		}
		for d := range said {
			domain = d
			delete(others, d)
		}
		if len(said) != 1 || len(others) > 0 {
			domain = ""
		}
		return nil
	}); err != nil {
		return ""
	}
	return domain
}

// textWords are what could be names in a text.
func textWords(text string) (words []string) {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n,;:()'\"", r) }) {
		if w = strings.TrimRight(w, "."); w != "" && len(words) < maxTextWords {
			words = append(words, w)
		}
	}
	return words
}

// kindBefore reports whether words end with what people call a kind of object.
func kindBefore(words []string, kind string) bool {
	text := strings.ToLower(strings.Join(words[max(0, len(words)-2):], " "))
	for _, x := range map[string][]string{
		vvKind: {"volume", "snapshot", "vv"}, groupKind: {"group"}, hostKind: {"host"}, cpgKind: {"cpg"}, hostSetKind: {"host set"}, vvSetKind: {"volume set"},
	}[kind] {
		if text == x || strings.HasSuffix(text, " "+x) {
			return true
		}
	}
	return false
}

// elsewhereWord stands for the name of what a caller does not see.
const elsewhereWord = "(of another domain)"

// untoldOf is an error without the names of what its caller does not see: what a command
// meets, the other holder of a LUN or an initiator, may be in another domain.
func (n *Node) untoldOf(q Asked, err error) error {
	if err == nil || q.By.everything() {
		return err
	}
	text := err.Error()
	hidden := false
	if e := n.store.View(func(t *store.Tx) error {
		own := []string{q.By.User}
		for _, w := range strings.Fields(strings.Join(q.Words, " ")) {
			if own = append(own, w); !initiatorName(w) {
				own = append(own, textWords(w)...)
			}
		}
		for _, w := range textWords(text) {
			if slices.Contains(own, w) {
				continue
			}
			for _, kind := range []string{vvKind, groupKind, hostKind, cpgKind, hostSetKind, vvSetKind} {
				key, err := n.keyOf(t, mention{kind: kind, name: w})
				if err != nil {
					return err
				}
				if key == "" {
					continue
				}
				d, err := domainIn(t, key)
				if err != nil {
					return err
				}
				if !q.By.sees(d) {
					text, hidden = replaceWord(text, w, elsewhereWord), true
				}
			}
		}
		return nil
	}); e != nil {
		return e
	}
	if !hidden {
		return err
	}
	return &array.Error{Kind: array.KindOf(err), Reason: array.ReasonOf(err), Text: text}
}

// replaceWord puts another word in the place of a whole one.
func replaceWord(text, word, other string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, word)
		if i < 0 {
			return b.String() + text
		}
		before, after := text[:i], text[i+len(word):]
		colon := strings.HasSuffix(before, ":") && !strings.HasSuffix(before, "set:") // an iSCSI name's
		whole := (before == "" || !nameByte(before[len(before)-1])) && !colon && (after == "" || !nameByte(after[0]) || after[0] == '.' && (len(after) == 1 || !nameByte(after[1])))
		b.WriteString(before)
		if whole {
			b.WriteString(other)
		} else {
			b.WriteString(word)
		}
		text = after
	}
}

// nameByte reports whether a name may have that byte.
func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}
