// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLoadOrder: a module comes after all that it needs, once, and what is in the kernel
// itself not at all.
func TestLoadOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("modules.dep", "fs/9p.ko: net/9pnet.ko lib/cache.ko\nnet/9pnet.ko:\nlib/cache.ko: lib/net-fs.ko\nlib/net-fs.ko:\nnet/9pnet_virtio.ko: net/9pnet.ko\nother.ko:\n")
	write("modules.builtin", "kernel/drivers/virtio_pci.ko\n")
	got, err := loadOrder(dir, []string{"virtio_pci", "9pnet_virtio", "9p"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"net/9pnet.ko", "net/9pnet_virtio.ko", "lib/net-fs.ko", "lib/cache.ko", "fs/9p.ko"}
	for i := range want {
		want[i] = filepath.Join(dir, want[i])
	}
	if !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
	if _, err := loadOrder(dir, []string{"net_fs", "unheard_of"}); err == nil || !strings.Contains(err.Error(), "unheard_of") {
		t.Errorf("a module that is not there: %v", err)
	}
}
