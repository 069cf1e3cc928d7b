// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"fmt"
	"os"
)

// An entry is a file of an archive.
type entry struct {
	name string
	mode uint32 // with the kind, as in stat
	data []byte
}

const (
	kindDir  = 0o040000
	kindFile = 0o100000
)

// archive returns what a kernel unpacks into its first root: a cpio archive in the form
// called newc.
func archive(entries []entry) []byte {
	var b bytes.Buffer
	pad := func() {
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	put := func(number int, e entry) {
		const owner, links, time, device = 0, 1, 0, 0
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			number, e.mode, owner, owner, links, time, len(e.data), device, device, device, device, len(e.name)+1, 0)
		b.WriteString(e.name)
		b.WriteByte(0)
		pad()
		b.Write(e.data)
		pad()
	}
	for n, e := range entries {
		put(n+1, e)
	}
	put(0, entry{name: "TRAILER!!!"})
	return b.Bytes()
}

// writeArchive writes the archive that starts the agent as the first process, with the
// modules that it has to load before it finds its root, in their order.
func writeArchive(path, agent string, modules []string) error {
	init, err := os.ReadFile(agent)
	if err != nil {
		return fmt.Errorf("make the first root: %w", err)
	}
	entries := []entry{{name: "init", mode: kindFile | 0o755, data: init}}
	if len(modules) > 0 {
		entries = append(entries, entry{name: "modules", mode: kindDir | 0o755})
	}
	for n, m := range modules {
		b, err := os.ReadFile(m)
		if err != nil {
			return fmt.Errorf("make the first root: %w", err)
		}
		entries = append(entries, entry{name: fmt.Sprintf("modules/%03d.ko", n), mode: kindFile | 0o644, data: b})
	}
	if err := os.WriteFile(path, archive(entries), 0o644); err != nil {
		return fmt.Errorf("make the first root: %w", err)
	}
	return nil
}
