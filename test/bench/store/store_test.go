// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestFiosReport(t *testing.T) {
	const good = `{"jobs":[{"jobname":"peer","error":0,"read":{"iops":0},"write":{"iops":123.5,"total_ios":99}}]}`
	if got, n, err := parseFio([]byte(good)); err != nil || got != 123.5 || n != 99 {
		t.Errorf("got %v, %v, %v", got, n, err)
	}
	for _, bad := range []string{
		``, `{}`, `{"jobs":[]}`, `fio: something`,
		`{"jobs":[{"error":5,"write":{"iops":1}}]}`,
		`{"jobs":[{"write":{"iops":0}}]}`,
		`{"jobs":[{"write":{"iops":1}},{"write":{"iops":1}}]}`,
	} {
		if got, _, err := parseFio([]byte(bad)); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestStampsTellWrongBlocks(t *testing.T) {
	b := make([]byte, 3*stampEvery)
	stamp(b, 8192, 1)
	if err := checkStamps(b, 8192); err != nil {
		t.Error(err)
	}
	if checkStamps(b, 4096) == nil {
		t.Error("blocks of another place pass")
	}
	clear(b[stampEvery : 2*stampEvery])
	if checkStamps(b, 8192) == nil {
		t.Error("a block that was never written passes")
	}
	clear(b)
	if checkStamps(b, 0) == nil {
		t.Error("zeros pass")
	}
}

func TestEveryRateHasItsVariant(t *testing.T) {
	names := map[string]bool{}
	for _, v := range variants() {
		names[v.name] = true
	}
	titles := map[string]bool{}
	for _, r := range rates() {
		if !names[r.variant] {
			t.Errorf("%s: there is no such variant", r.title())
		}
		if titles[r.title()] {
			t.Errorf("%s: twice", r.title())
		}
		titles[r.title()] = true
	}
}
