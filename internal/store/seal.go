// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"runtime/debug"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/perdure/perdure/internal/array"
)

// sealSize is how many bytes a seal takes.
const sealSize = 4

// Seal returns a value with its seal: a checksum over bucket, key and value. The library
// below has none, and would return changed bytes, or those of another key.
func Seal(bucket string, key, value []byte) []byte {
	return binary.LittleEndian.AppendUint32(value[:len(value):len(value)], sealOf(bucket, key, value))
}

// Unseal returns the value without its seal, or an error of kind Medium if that is not
// the value's.
func Unseal(bucket string, key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sealSize
	if n < 0 || binary.LittleEndian.Uint32(sealed[n:]) != sealOf(bucket, key, sealed[:n]) {
		return nil, array.Errorf(array.Medium, "the value of %s %x is damaged", bucket, key)
	}
	return sealed[:n:n], nil
}

func sealOf(bucket string, key, value []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli) // made once, by the library
	sum := crc32.Update(0, t, []byte(bucket))
	sum = crc32.Update(sum, t, []byte{byte(len(key)), byte(len(key) >> 8)})
	return crc32.Update(crc32.Update(sum, t, key), t, value)
}

// OpenFile opens a file of the library below. One that is damaged so that the library
// panics is let go of again; one that another process has is refused with array.Conflict.
func OpenFile(path string, o bolt.Options) (db *bolt.DB, err error) {
	var file *os.File
	o.OpenFile = func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
		f, err = os.OpenFile(name, flag, perm)
		file = f
		return f, err
	}
	err = Guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &o)
		return err
	})
	if err != nil && file != nil {
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // which a mapping that is left would keep
		_ = file.Close()
	}
	if errors.Is(err, berrors.ErrTimeout) {
		err = array.Errorf(array.Conflict, "another process has it open, mostly the array's daemon: stop that first")
	}
	return db, err
}

// HangsTogether returns the first thing that is wrong with the structure of a file. It
// hears the library out, which goes on reading until then.
func HangsTogether(tx *bolt.Tx) (first error) {
	for err := range tx.Check() {
		if first == nil {
			first = array.Errorf(array.Medium, "the file is damaged: %v", err)
		}
	}
	return first
}

// Guard runs what reads a file that may be damaged. The library below trusts what it
// maps into memory: whatever it panics with, or reads beyond the file's end, becomes an
// error of kind Medium.
func Guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = array.Errorf(array.Medium, "the file is damaged: %v", r)
		}
	}()
	return fn()
}
