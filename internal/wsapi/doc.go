// SPDX-License-Identifier: Apache-2.0

// Package wsapi is the array's management face over HTTP: it takes a command as a
// list of words and returns its text, or an error with its kind. It decides
// nothing. A client that accepts application/x-ndjson hears meanwhile how far a long
// command is, line by line. Requests come over a socket that only the array's owner can open.
package wsapi
