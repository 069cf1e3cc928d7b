// SPDX-License-Identifier: Apache-2.0

package array

// Version is that of the programs, which are made and given out together.
const Version = "0.1.0"
