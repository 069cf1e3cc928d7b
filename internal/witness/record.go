// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/perdure/perdure/internal/pki"
)

// A register on disk: format, version, owners, value, and a checksum over the key
// and all of it. bbolt guards its own pages' order, not their bytes; and with the
// key in the sum a register that turns up under another's name is noticed.
const (
	recordFormat = 1
	recordHead   = 1 + 8 + 2*len(pki.Pin{})
	recordTail   = 4
)

var errDamaged = errors.New("stored register fails its checksum")

// castagnoli is a constant in all but name.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type record struct {
	version uint64
	owners  Owners // sorted
	value   []byte
}

func (r *record) encode(key string) []byte {
	out := make([]byte, 0, recordHead+len(r.value)+recordTail)
	out = append(out, recordFormat)
	out = binary.LittleEndian.AppendUint64(out, r.version)
	out = append(out, r.owners[0][:]...)
	out = append(out, r.owners[1][:]...)
	out = append(out, r.value...)
	return binary.LittleEndian.AppendUint32(out, recordSum(key, out))
}

// decodeRecord reads what encode wrote. The value is a copy.
func decodeRecord(key string, raw []byte) (*record, error) {
	n := len(raw) - recordTail
	if n < recordHead || n > recordHead+MaxValue || raw[0] != recordFormat ||
		binary.LittleEndian.Uint32(raw[n:]) != recordSum(key, raw[:n]) {
		return nil, errDamaged
	}
	r := &record{version: binary.LittleEndian.Uint64(raw[1:])}
	copy(r.owners[0][:], raw[9:])
	copy(r.owners[1][:], raw[9+len(pki.Pin{}):])
	r.value = bytes.Clone(raw[recordHead:n])
	if r.version == 0 {
		return nil, errDamaged
	}
	return r, nil
}

func recordSum(key string, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, body)
}
