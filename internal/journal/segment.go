// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

const (
	segmentMagic   = 0x31534A4450 // "PDJS1"
	segmentVersion = 1
	// segmentHeader is the room of a segment's header; records follow.
	segmentHeader = flushAlign
)

// segment is one file: free, current (being written), or sealed.
type segment struct {
	name string
	file vfs.File
	seq  uint64 // 0: never used since it was made
	end  int64  // where the next flush goes, or where the records end

	// prepared says that every block was written once: on most file systems a
	// write to a block that was only allocated costs a metadata commit.
	prepared bool
	filling  bool // the prefiller is at it
	state    segmentState
	// runs counts the groups' runs that lie in the segment; pins its readers.
	runs, pins int
	// high is, per group, the largest place ever written here, dead ones too.
	high map[array.GroupID]array.Place
}

type segmentState uint8

const (
	free segmentState = iota
	current
	sealed
	// freeing: holds nothing that counts, but no durable checkpoint says so yet.
	freeing
)

func segmentName(slot int) string { return fmt.Sprintf("segment-%05d", slot) }

// encodeSegment writes a segment's header to b, of segmentHeader bytes.
func encodeSegment(b []byte, id [16]byte, seq uint64) {
	clear(b)
	binary.LittleEndian.PutUint64(b[0:], segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], segmentVersion)
	copy(b[16:32], id[:])
	binary.LittleEndian.PutUint64(b[32:], seq)
	binary.LittleEndian.PutUint32(b[40:], block.Checksum(b[:40]))
}

// decodeSegment returns a header's sequence number.
func decodeSegment(b []byte, id [16]byte) (seq uint64, err error) {
	switch {
	case len(b) < segmentHeader || binary.LittleEndian.Uint64(b) != segmentMagic:
		return 0, fmt.Errorf("no segment header")
	case binary.LittleEndian.Uint32(b[40:]) != block.Checksum(b[:40]):
		return 0, fmt.Errorf("segment header fails its checksum")
	case binary.LittleEndian.Uint32(b[8:]) != segmentVersion:
		return 0, fmt.Errorf("segment has format version %d, this program knows %d", binary.LittleEndian.Uint32(b[8:]), segmentVersion)
	case [16]byte(b[16:32]) != id:
		return 0, fmt.Errorf("segment belongs to another journal")
	}
	return binary.LittleEndian.Uint64(b[32:]), nil
}

// window reads a segment in large aligned pieces.
type window struct {
	file vfs.File
	size int64 // of the segment
	step int   // how much it reads at least
	buf  []byte
	from int64
	n    int
	out  []byte // the last payload that was outside
}

const windowSize = 1 << 20

// at returns n bytes at off, valid until the next call. Beyond the segment's end
// it returns what there is.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off+int64(n) > w.size {
		n = int(max(0, w.size-off))
	}
	if off >= w.from && off+int64(n) <= w.from+int64(w.n) {
		return w.buf[off-w.from:][:n], nil
	}
	from := off / vfs.Align * vfs.Align
	want := max(int(up(off+int64(n)-from, vfs.Align)), w.step)
	want = min(want, int(w.size-from))
	if len(w.buf) < want {
		w.buf = vfs.NewBuffer(want)
	}
	w.n = 0
	got, err := w.file.ReadAt(w.buf[:want], from)
	if err != nil && !(errors.Is(err, io.EOF) && got == want) {
		return nil, err
	}
	w.from, w.n = from, want
	return w.buf[off-from:][:n], nil
}

// errTorn says that no valid record stands at an offset.
type errTorn struct{ why error }

func (e *errTorn) Error() string { return e.why.Error() }

// record returns the record at off of segment seq. Its payload is valid until the
// window is used again. A failed read is returned as it is, anything else as
// *errTorn.
func (w *window) record(id [16]byte, seq uint64, off int64) (header, error) {
	b, err := w.at(off, headerSize)
	if err != nil {
		return header{}, err
	}
	h, err := decodeHeader(b, id, off)
	if err == nil && h.seq != seq {
		err = fmt.Errorf("record is of segment %d, not %d", h.seq, seq)
	}
	if err == nil && off+headerSize+int64(h.payloadLen) > w.size {
		err = fmt.Errorf("payload of %d bytes reaches beyond the segment", h.payloadLen)
	}
	if err != nil {
		return h, &errTorn{err}
	}
	b, err = w.at(off+headerSize, int(h.payloadLen))
	if err != nil {
		return h, err
	}
	if block.Checksum(b) != h.payloadCRC {
		return h, &errTorn{fmt.Errorf("payload fails its checksum")}
	}
	if h.payloadLen > 0 {
		h.Payload = b
	}
	return h, nil
}
