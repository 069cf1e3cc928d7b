// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"reflect"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

func TestALargeGroupFitsIntoAMessage(t *testing.T) {
	var d Description
	for i := range 3000 {
		v := VV{ID: array.MakeVolumeID(1, uint32(i+1)), Name: fmt.Sprintf("production-database.%d", i), Size: int64(i) << 30, CPG: "default"}
		d.VVs = append(d.VVs, v)
		for h := range 4 {
			d.VLUNs = append(d.VLUNs, VLUN{Volume: v.ID, Host: fmt.Sprintf("host-%d", h), LUN: uint16(i)})
		}
	}
	b, err := pack(request{Take: &d})
	if err != nil {
		t.Fatal(err)
	}
	var q request
	if err := unpack(b, &q); err != nil || len(q.Take.VVs) != 3000 || !reflect.DeepEqual(q.Take.VVs[77], d.VVs[77]) {
		t.Fatalf("%v", err)
	}
}

func TestAMessageThatUnpacksWithoutEndIsRefused(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range maxUnpacked/1024 + 2 {
		_, _ = z.Write(bytes.Repeat([]byte{' '}, 1024))
	}
	_ = z.Close()
	if err := unpack(b.Bytes(), new(request)); array.KindOf(err) != array.Invalid {
		t.Error(err)
	}
}

func FuzzUnpack(f *testing.F) {
	b, err := pack(request{Command: []string{"status"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var q request
		_ = unpack(b, &q)
	})
}
