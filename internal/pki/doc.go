// SPDX-License-Identifier: Apache-2.0

// Package pki makes and checks the keys by which daemons know each other. There
// is no authority: every daemon has one key and a certificate that it signed
// itself, and a relation is pinned to the other's public key.
//
// People's programs know no keys but certificates, which authorities sign: for them it makes
// requests, checks what was signed, and shows it (Subject, CheckChain, Files, Public).
//
// # Invariants
//
//   - Between daemons only TLS 1.3 is spoken, both ends show a certificate and prove its key.
//   - A peer is accepted for its public key alone. Names, issuers and dates in its
//     certificate decide nothing: an expired certificate never cuts a relation
//     that a person established. Expiry says in time that one should be renewed.
//   - Renew keeps the key, so that no pin changes with a new certificate.
//   - Every connection checks the pin anew; sessions are not resumed, so that a key
//     which a person took away is refused from the next connection on.
//
// # Concurrency
//
// All values are immutable after they were made, but for Files, which guards itself.
package pki
