// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// fill writes MiB to LUN 0 of web1, as a host does.
func (f *face) fill(mib int) {
	f.t.Helper()
	p := f.n.Ports()[0]
	c, err := initiator.Dial(initiator.Config{Addr: net.JoinHostPort(p.Address, strconv.Itoa(p.Port)), Target: p.Name, Name: "iqn.2026-01.org.example:web1"})
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i)
	}
	const blocks = 1 << 20 / 512
	c.Do(initiator.Command{CDB: make([]byte, 6)}) // a unit attention is told once
	for i := range mib {
		cdb := make([]byte, 16)
		cdb[0] = 0x8a // WRITE(16), SBC-3, 5.36
		binary.BigEndian.PutUint64(cdb[2:], uint64(i*blocks))
		binary.BigEndian.PutUint32(cdb[10:], blocks)
		data[0] = byte(i) // no page is as another
		if r := c.Do(initiator.Command{CDB: cdb, Out: data}); r.Err != nil || r.Status != 0 {
			f.t.Fatalf("write: status %d, sense %06x, %v", r.Status, r.Code(), r.Err)
		}
	}
}

// TestATaskIsCancelled: by whoever may, and the audit log says by whom.
func TestATaskIsCancelled(t *testing.T) {
	a, _ := furnish(t)
	a.fill(8)
	r := a.wants(http.StatusAccepted, "POST", "/api/v1/remotecopygroups/g/verify", `{"mibPerSecond":1}`)
	a.as("browse").refuses(http.StatusForbidden, 13, "PUT", r.location, `{"action":1}`)
	edit := a.as("edit")
	edit.wants(http.StatusOK, "PUT", r.location, `{"action":1}`)
	if x := get[task](a, r.location); x.Status != 3 {
		t.Errorf("%+v", x)
	}
	edit.refuses(http.StatusConflict, 1102, "PUT", r.location, `{"action":1}`)
	text, err := a.n.Run(t.Context(), []string{"showeventlog", "-audit", "-csvtable"})
	if want := fmt.Sprintf(",rest,canceltask -f %s,done", r.location[strings.LastIndex(r.location, "/")+1:]); err != nil || !strings.Contains(text, want) {
		t.Errorf("%v; the audit log lacks %q:\n%s", err, want, text)
	}
}
