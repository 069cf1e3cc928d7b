// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/perdure/perdure/internal/array"
)

// Requests and answers between the arrays are JSON, packed: a group of thousands of
// volumes must fit into one frame of a control connection.
const (
	maxPacked   = 256 << 10
	maxUnpacked = 16 << 20
)

func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return nil, fmt.Errorf("pack a message to the other array: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack a message to the other array: %w", err)
	}
	if b.Len() > maxPacked {
		return nil, array.Errorf(array.Full, "the description for the other array takes %d bytes, at most %d can be sent: split the group", b.Len(), maxPacked)
	}
	return b.Bytes(), nil
}

// unpack refuses what unpacks to more than any array sends.
func unpack(b []byte, v any) error {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("unpack a message of the other array: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	switch {
	case err != nil:
		return fmt.Errorf("unpack a message of the other array: %w", err)
	case len(plain) > maxUnpacked:
		return array.Errorf(array.Invalid, "a message of the other array is larger than %d bytes", maxUnpacked)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("unpack a message of the other array: %w", err)
	}
	return nil
}
