// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"

	"github.com/perdure/perdure/internal/pki"
)

func (p Plan) witnessConfig(dir string, pins [3]pki.Pin) string {
	s := fmt.Sprintf("state = %q\nlisten = [%q]\n", filepath.Join(dir, names[2], "identity"), p.Witness)
	for i := range 2 {
		s += fmt.Sprintf("\n[[array]]\nname = %q\nkey = %q\n", names[i], pins[i].String())
	}
	return s
}
