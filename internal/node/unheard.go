// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// learn asks for the description of a group that this array is to serve and can't, because its
// log speaks of a volume that it never heard of: the other array serves it no more, and so tells
// nothing by itself.
func (n *Node) learn(ctx context.Context, id array.GroupID) error {
	text, err := n.askWithin(ctx, pushWithin, request{Give: id})
	if err != nil {
		return err
	}
	var d Description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return fmt.Errorf("read the other array's description of group %v: %w", id, err)
	}
	return n.take(d, nil)
}
