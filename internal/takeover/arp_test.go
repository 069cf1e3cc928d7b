// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"encoding/hex"
	"net"
	"net/netip"
	"testing"
)

func TestFrames(t *testing.T) {
	mac, ip := net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("192.0.2.1")
	const head = "ffffffffffff" + "020000000001" + "0806" + "0001" + "0800" + "0604" + "0001" + "020000000001"
	if got, want := hex.EncodeToString(probe(mac, ip)), head+"00000000"+"000000000000"+"c0000201"; got != want {
		t.Errorf("probe\n%s, want\n%s", got, want)
	}
	if got, want := hex.EncodeToString(announcement(mac, ip)), head+"c0000201"+"000000000000"+"c0000201"; got != want {
		t.Errorf("announcement\n%s, want\n%s", got, want)
	}
}

func TestClaims(t *testing.T) {
	mac, other := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	ip, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")
	reply := announcement(other, ip)
	reply[21] = 2
	for _, x := range []struct {
		what  string
		frame []byte
		want  bool
	}{
		{"a reply", reply, true},
		{"an announcement", announcement(other, ip), true},
		{"its own", announcement(mac, ip), false},
		{"a probe of another", probe(other, ip), false},
		{"another address", announcement(other, elsewhere), false},
		{"a short frame", reply[:frameLen-1], false},
		{"nothing", nil, false},
		{"no ARP", append(append(append([]byte{}, reply[:12]...), 8, 0), reply[14:]...), false},
	} {
		if got := claims(x.frame, mac, ip); got != x.want {
			t.Errorf("%s: %v", x.what, got)
		}
	}
}
