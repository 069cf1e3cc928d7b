// SPDX-License-Identifier: Apache-2.0

package array

// Version is that of the programs, which are made and given out together. Nothing changes it
// but a build that is told another one, with -ldflags '-X'.
var Version = "0.1.0"
