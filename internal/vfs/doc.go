// SPDX-License-Identifier: Apache-2.0

// Package vfs is the file system that the storage engine stands on: a small
// interface with four implementations. OS is the real one, Mem is a disk in memory
// that can lose power, Inject wraps either and makes operations fail, and Partitioned
// lays a few files out over one block device or one large file of another.
//
// # Durability
//
// A write is durable when Sync of its file has returned nil after it. A name
// (made by Open with Create, moved by Rename, taken away by Remove) is durable
// when SyncDir of its directory has returned nil after it. Before that, a power
// cut keeps or loses each 512-byte sector and each name by itself. A failed Sync
// says nothing about what is on the disk, and a later one that succeeds doesn't
// either: the user of the file must stop trusting it.
//
// # Direct files
//
// A file opened with Direct bypasses the page cache where the file system can;
// offset, length and memory address of its reads and writes must then be
// multiples of Align, wherever it runs, so that tests in memory find a
// misaligned access too.
//
// # Devices
//
// A block device that is opened to write, or with Lock, is this process's alone: while
// another one has it, or it is mounted, it is refused. Its size is given; Allocate
// succeeds up to it and fails with ENOSPC beyond. Nothing is written to a device for
// the first time unless its first MiB is zeros: CheckBlank says what it holds instead.
//
// Where many reads and writes of a Direct file are under way at once, the kernel is given
// them as a queue (io_submit(2)), if it has such queues; what it doesn't do whole is done
// again as usual, and that says why. A buffer is not touched after the call returned.
//
// # Concurrency
//
// All methods may be called concurrently; concurrent accesses to overlapping
// bytes of a file see each other's bytes in no particular order.
package vfs
