// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// params are what login negotiates (RFC 7143 chapter 13), at the protocol's
// defaults until then.
type params struct {
	headerDigest, dataDigest bool
	initialR2T, immediate    bool
	sendMax                  int // the initiator's MaxRecvDataSegmentLength
	maxBurst, firstBurst     int
	declared                 bool // ours was told
}

func defaultParams() params {
	return params{initialR2T: true, immediate: true, sendMax: 8192, maxBurst: 262144, firstBurst: 65536}
}

const (
	notUnderstood = "NotUnderstood"
	rejected      = "Reject"
	irrelevant    = "Irrelevant"
)

// answer negotiates one operational key. An empty answer means none is due.
func (p *params) answer(key, value string, discovery bool) string {
	switch key {
	case "HeaderDigest":
		return digest(value, &p.headerDigest)
	case "DataDigest":
		return digest(value, &p.dataDigest)
	case "MaxRecvDataSegmentLength":
		if n, ok := number(value, 512, pdu.MaxDataLen); ok {
			p.sendMax = n
			return ""
		}
		return rejected
	case "MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength", "FirstBurstLength",
		"MaxOutstandingR2T", "DataPDUInOrder", "DataSequenceInOrder":
		if discovery {
			return irrelevant
		}
		return p.flow(key, value)
	case "ErrorRecoveryLevel":
		return lesser(value, 0, 2, 0)
	case "DefaultTime2Wait":
		// The larger of both; ours is zero: come back at once.
		return lesser(value, 0, 3600, 3600)
	case "DefaultTime2Retain":
		return lesser(value, 0, 3600, 0)
	case "IFMarker", "OFMarker":
		return "No"
	case "iSCSIProtocolLevel":
		return lesser(value, 0, 31, 1)
	case "TaskReporting":
		return choose(value, "RFC3720")
	}
	return notUnderstood
}

// flow negotiates the keys about commands' data.
func (p *params) flow(key, value string) string {
	switch key {
	case "MaxConnections":
		return lesser(value, 1, 65535, 1)
	case "MaxOutstandingR2T":
		return lesser(value, 1, 65535, 1)
	case "InitialR2T":
		return boolean(value, &p.initialR2T, func(v bool) bool { return v })
	case "ImmediateData":
		return boolean(value, &p.immediate, func(v bool) bool { return v })
	case "DataPDUInOrder", "DataSequenceInOrder":
		var yes bool
		return boolean(value, &yes, func(bool) bool { return true })
	case "MaxBurstLength":
		return burst(value, ourMaxBurst, &p.maxBurst)
	}
	return burst(value, ourFirstBurst, &p.firstBurst)
}

// settle brings what was negotiated in line: a first burst is within a burst.
func (p *params) settle() { p.firstBurst = min(p.firstBurst, p.maxBurst) }

// number reads a decimal or hexadecimal number in a range.
func number(value string, low, high int) (int, bool) {
	n, err := strconv.ParseUint(value, 0, 32)
	if err != nil || strings.ContainsAny(value, "_oObB") || int(n) < low || int(n) > high {
		return 0, false
	}
	return int(n), true
}

// lesser answers with the smaller of the offer and ours.
func lesser(value string, low, high, ours int) string {
	n, ok := number(value, low, high)
	if !ok {
		return rejected
	}
	return strconv.Itoa(min(n, ours))
}

func burst(value string, ours int, p *int) string {
	n, ok := number(value, 512, pdu.MaxDataLen)
	if !ok {
		return rejected
	}
	*p = min(n, ours)
	return strconv.Itoa(*p)
}

func boolean(value string, p *bool, result func(bool) bool) string {
	if value != "Yes" && value != "No" {
		return rejected
	}
	*p = result(value == "Yes")
	if *p {
		return "Yes"
	}
	return "No"
}

// digest takes the first digest of the list that there is.
func digest(value string, p *bool) string {
	a := choose(value, "CRC32C", "None")
	*p = a == "CRC32C"
	return a
}

// choose answers with the first value of a list that is among ours.
func choose(list string, ours ...string) string {
	for _, v := range strings.Split(list, ",") {
		for _, o := range ours {
			if v == o {
				return v
			}
		}
	}
	return rejected
}
