// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/event"
)

// TestAStrangersReport: whoever answers an inform with something else than a response ends
// neither the array nor the waiting.
func TestAStrangersReport(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		b := make([]byte, 4096)
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		for i := range b[:n] {
			if b[i] == 0xa6 { // InformRequest
				b[i] = 0xa8 // Report
				break
			}
		}
		_, _ = c.WriteTo(b[:n], from)
	}()
	f, err := New(Receiver{To: fmt.Sprintf("snmp+inform://%v", c.LocalAddr()), Array: "a", Engine: testEngine(), SNMP: SNMP{Community: file(t, "wide-open")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = f.to.send(ctx, []event.Numbered{{ID: 1, Event: event.Event{At: time.Now(), Severity: event.Major, Text: "x"}}})
	if err == nil || !strings.Contains(err.Error(), "instead of a response") {
		t.Errorf("a report was taken: %v", err)
	}
}
