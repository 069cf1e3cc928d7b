// SPDX-License-Identifier: Apache-2.0

package pdu

import (
	"encoding/binary"

	"github.com/perdure/perdure/internal/block"
)

// AppendHeader appends h, and its digest if wanted.
func AppendHeader(dst []byte, h *Header, digest bool) []byte {
	dst = append(dst, h[:]...)
	if digest {
		dst = binary.LittleEndian.AppendUint32(dst, block.Checksum(h[:]))
	}
	return dst
}

// AppendTrailer appends what follows a data segment: padding, and the digest over
// both if wanted.
func AppendTrailer(dst, data []byte, digest bool) []byte {
	if len(data) == 0 {
		return dst
	}
	end := len(dst) + Pad(len(data))
	dst = append(dst, 0, 0, 0)[:end]
	if digest {
		dst = binary.LittleEndian.AppendUint32(dst, block.ChecksumUpdate(block.Checksum(data), dst[end-Pad(len(data)):]))
	}
	return dst
}

// Append appends a whole PDU; it sets h's data segment length.
func Append(dst []byte, h *Header, data []byte, headerDigest, dataDigest bool) []byte {
	h.SetDataLen(len(data))
	dst = AppendHeader(dst, h, headerDigest)
	dst = append(dst, data...)
	return AppendTrailer(dst, data, dataDigest)
}
