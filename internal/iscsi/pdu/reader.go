// SPDX-License-Identifier: Apache-2.0

package pdu

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/perdure/perdure/internal/block"
)

// ErrDataDigest says that a data segment came damaged. The stream stays in step.
var ErrDataDigest = errors.New("data digest differs")

// ErrHeaderDigest says that a header came damaged: where the next begins is unknown.
var ErrHeaderDigest = errors.New("header digest differs")

// Reader takes PDUs off a stream.
type Reader struct {
	// HeaderDigest and DataDigest say whether digests follow; set after login.
	HeaderDigest, DataDigest bool
	// MaxData is the largest data segment that is taken.
	MaxData int

	r     *bufio.Reader
	data  int // data segment bytes of the present PDU not yet read
	total int // its whole length
	crc   uint32
	ahs   [4 * 255]byte
}

// NewReader returns a reader of src.
func NewReader(src io.Reader, maxData int) *Reader {
	return &Reader{r: bufio.NewReaderSize(src, 64<<10), MaxData: maxData}
}

// Buffered reports whether bytes wait that were read from the stream already.
func (r *Reader) Buffered() bool { return r.r.Buffered() > 0 }

// Next reads the next header, after dropping what is left of the last PDU.
// Additional header segments are checked and dropped: the only ones there are
// extend a CDB or describe bidirectional commands, and no command of ours does.
func (r *Reader) Next(h *Header) error {
	if r.total > 0 {
		if err := r.Discard(); err != nil && !errors.Is(err, ErrDataDigest) {
			return err
		}
	}
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		return err
	}
	ahs := r.ahs[:h.AHSLen()]
	if _, err := io.ReadFull(r.r, ahs); err != nil {
		return noEOF(err)
	}
	if r.HeaderDigest {
		want, err := r.digest()
		if err != nil {
			return err
		}
		if block.ChecksumUpdate(block.Checksum(h[:]), ahs) != want {
			return ErrHeaderDigest
		}
	}
	if h.DataLen() > r.MaxData {
		return fmt.Errorf("data segment of %d bytes, at most %d were declared", h.DataLen(), r.MaxData)
	}
	r.data, r.total, r.crc = h.DataLen(), h.DataLen(), 0
	return nil
}

// Data reads the present data segment's first len(p) bytes into p and drops the
// rest. ErrDataDigest leaves the stream in step.
func (r *Reader) Data(p []byte) error {
	if len(p) > r.data {
		return fmt.Errorf("read %d bytes of a data segment of %d", len(p), r.data)
	}
	if _, err := io.ReadFull(r.r, p); err != nil {
		return noEOF(err)
	}
	r.data -= len(p)
	if r.DataDigest {
		r.crc = block.ChecksumUpdate(r.crc, p)
	}
	return r.Discard()
}

// Discard drops the present data segment, padding and digest.
func (r *Reader) Discard() error {
	n := r.data + Pad(r.total)
	has := r.DataDigest && r.total > 0
	r.data, r.total = 0, 0
	if !has {
		_, err := r.r.Discard(n)
		return noEOF(err)
	}
	for n > 0 {
		b, err := r.r.Peek(min(n, 4096))
		if err != nil {
			return noEOF(err)
		}
		r.crc = block.ChecksumUpdate(r.crc, b)
		n -= len(b)
		if _, err := r.r.Discard(len(b)); err != nil {
			return noEOF(err)
		}
	}
	want, err := r.digest()
	if err != nil {
		return err
	}
	if r.crc != want {
		return ErrDataDigest
	}
	return nil
}

// digest reads a digest. It is sent least significant byte first (RFC 7143
// appendix A.3 shows it; the text only implies it).
func (r *Reader) digest() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return 0, noEOF(err)
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// noEOF makes an end of stream within a PDU an unexpected one.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
