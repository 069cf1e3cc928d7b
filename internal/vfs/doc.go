// SPDX-License-Identifier: Apache-2.0

// Package vfs is the file system that the storage engine stands on: a small
// interface with three implementations. OS is the real one, Mem is a disk in
// memory that can lose power, and Inject wraps either and makes operations fail.
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
// Where many reads of a Direct file are under way at once, the kernel is given them as
// a queue (io_submit(2)), if it has such queues; what it doesn't read whole is read
// again as usual, and that says why. A buffer is not touched after ReadAt returned.
//
// # Concurrency
//
// All methods may be called concurrently; concurrent accesses to overlapping
// bytes of a file see each other's bytes in no particular order.
package vfs
