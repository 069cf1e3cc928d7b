// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
)

//go:embed recipes
var recipes embed.FS

// Recipes are the kinds of hosts that Recipe knows.
func Recipes() []string { return []string{"linux", "windows", "vmware", "proxmox"} }

// Recipe returns the settings with which a kind of host fails over as fast as is safe:
// text for people to read and for its shell to run.
func Recipe(host string) (string, error) {
	if !slices.Contains(Recipes(), host) {
		return "", array.Errorf(array.Invalid, "host %q: want one of %s", host, strings.Join(Recipes(), ", "))
	}
	b, err := recipes.ReadFile("recipes/" + host)
	if err != nil {
		return "", fmt.Errorf("read recipe: %w", err)
	}
	return string(b), nil
}
