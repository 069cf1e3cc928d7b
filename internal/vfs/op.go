// SPDX-License-Identifier: Apache-2.0

package vfs

import "fmt"

// Verb names an operation for hooks and injected errors.
type Verb uint8

// The verbs.
const (
	OpOpen Verb = iota
	OpRead
	OpWrite
	OpSync
	OpAllocate
	OpRemove
	OpRename
	OpSyncDir
)

var verbNames = [...]string{"open", "read", "write", "sync", "allocate", "remove", "rename", "syncdir"}

// String returns the verb's name.
func (v Verb) String() string {
	if int(v) < len(verbNames) {
		return verbNames[v]
	}
	return fmt.Sprintf("verb %d", v)
}

// Op is an operation about to be done.
type Op struct {
	Verb Verb
	// Name is the file, or the directory for OpSyncDir.
	Name string
	// Offset and Length are those of a read or write.
	Offset int64
	Length int
}
