// SPDX-License-Identifier: Apache-2.0

package people

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/perdure/perdure/internal/array"
)

// Cost is what it takes to try a password.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is 19 MiB and two passes: some 30 ms.
func DefaultCost() Cost { return Cost{MemoryKiB: 19 << 10, Passes: 2, Lanes: 1} }

const (
	saltLen = 16
	sumLen  = 32
	// A hash that came from elsewhere must not take all memory to look at.
	maxMemoryKiB = 256 << 10
	maxPasses    = 16
	maxLanes     = 8
)

// hash is a password's, read.
type hash struct {
	cost      Cost
	salt, sum []byte
}

// newHash hashes a password with a salt of its own.
func newHash(password string, c Cost) string {
	h := hash{cost: c, salt: make([]byte, saltLen)}
	_, _ = rand.Read(h.salt) // never fails
	h.sum = h.of(password)
	e := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes, e.EncodeToString(h.salt), e.EncodeToString(h.sum))
}

func (h hash) of(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Lanes, sumLen)
}

// fits reports whether it is this password's, in a time that does not tell.
func (h hash) fits(password string) bool {
	return subtle.ConstantTimeCompare(h.sum, h.of(password)) == 1
}

// parseHash reads what newHash wrote.
func parseHash(s string) (h hash, err error) {
	bad := array.Errorf(array.Invalid, "a password hash that can't be read")
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, bad
	}
	c := &h.cost
	if n, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Passes, &c.Lanes); err != nil || n != 3 || f[3] != fmt.Sprintf("m=%d,t=%d,p=%d", c.MemoryKiB, c.Passes, c.Lanes) {
		return h, bad
	}
	if c.MemoryKiB < 8 || c.MemoryKiB > maxMemoryKiB || c.Passes < 1 || c.Passes > maxPasses || c.Lanes < 1 || c.Lanes > maxLanes {
		return h, bad
	}
	salt, e := base64.RawStdEncoding.DecodeString(f[4])
	sum, e2 := base64.RawStdEncoding.DecodeString(f[5])
	if e != nil || e2 != nil || len(salt) != saltLen || len(sum) != sumLen {
		return h, bad
	}
	h.salt, h.sum = salt, sum
	return h, nil
}

const (
	// atOnce is how many hashes are worked at, so that logins can't take all memory and
	// processors; inLine is how many more may wait.
	atOnce = 2
	inLine = 64
)

// gate bounds how many hashes are worked at.
type gate struct{ line, work chan struct{} }

func newGate() gate {
	return gate{line: make(chan struct{}, inLine), work: make(chan struct{}, atOnce)}
}

// pass runs f when it is its turn.
func (g gate) pass(f func()) error {
	select {
	case g.line <- struct{}{}:
	default:
		return array.Errorf(array.Busy, "too many logins at once: try again")
	}
	defer func() { <-g.line }()
	g.work <- struct{}{}
	defer func() { <-g.work }()
	f()
	return nil
}
