// SPDX-License-Identifier: Apache-2.0

// Package rest is the array's REST interface: the incumbent's Web Services API, version
// 1, over HTTPS, and what it never had beside it. It translates: what is read comes from
// node's facts, what is changed goes through the same commands as the command line's, and
// errors become codes by package wsapi's table.
//
// # Invariants
//
//   - One table of routes says what there is; the server, the rights and the OpenAPI
//     description are made of it.
//   - No route but the version and the login is reached without a session, and none that
//     changes something without the right to.
//   - Names of requests become words of commands only after they were found to be names:
//     none can pass for an option.
//   - Clients repeat a request once after every 401 and 403, so what answers so has
//     changed nothing.
//   - Connections, requests under way, streams of events, sizes and times are bounded.
//
// # Concurrency
//
// Each request has a goroutine of net/http's; they share the array, which guards itself,
// and the counts of limits.go.
package rest
