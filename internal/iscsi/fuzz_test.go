// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// loginPDU is a login that goes straight to the full feature phase.
func loginPDU() []byte {
	h := pdu.Make(0x40|pdu.LoginReq, 0x87)
	h.Put32(pdu.OffITT, 1)
	h.Put32(pdu.OffCmdSN, 1)
	return pdu.Append(nil, &h, pdu.AppendText(nil,
		pdu.Pair{Key: "InitiatorName", Value: hostName}, pdu.Pair{Key: "TargetName", Value: testName},
		pdu.Pair{Key: "InitialR2T", Value: "No"}), false, false)
}

// FuzzWire sends any bytes, first of all or after a login. The target must neither
// panic nor hang nor keep anything.
func FuzzWire(f *testing.F) {
	seed := func(op, flags byte, edit func(*pdu.Header), data []byte) {
		h := pdu.Make(op, flags)
		h.Put32(pdu.OffITT, 2)
		h.Put32(pdu.OffCmdSN, 1)
		if edit != nil {
			edit(&h)
		}
		f.Add(pdu.Append(nil, &h, data, false, false), true)
	}
	f.Add(loginPDU(), false)
	seed(pdu.NopOut, 0x80, nil, []byte("ping"))
	seed(pdu.TextReq, 0x80, func(h *pdu.Header) { h.Put32(pdu.OffTTT, pdu.NoTag) }, []byte("SendTargets=All\x00"))
	seed(pdu.LogoutReq, 0x80, nil, nil)
	seed(0x40|pdu.TaskRequest, 0x80|unitReset, nil, nil)
	seed(pdu.SNACK, 0x80, nil, nil)
	for _, flags := range []byte{0xA1, 0x21, 0xC1} {
		seed(pdu.SCSICommand, flags, func(h *pdu.Header) {
			h.Put32(20, 1024)
			copy(h[32:], rw16(0x8A, 0, 2))
		}, make([]byte, 512))
	}
	pool := block.NewPool(8 << 20)
	disk := ramunit.New("disk", array.MakeVolumeID(7, 1), 1<<20, 1)
	server := scsi.NewServer(scsi.Config{Exports: ramunit.NewExports(disk.Unit(0)), Pool: pool})
	group := PortalGroup{Tag: 1, Relative: 1}
	target, err := Serve(Config{Name: testName, Groups: []PortalGroup{group}, Server: server})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		target.DropAll(io.EOF)
		target.cancel()
		target.wg.Wait()
		server.Close()
	})
	f.Fuzz(func(t *testing.T, raw []byte, loggedIn bool) {
		host, nc := net.Pipe()
		target.mu.Lock()
		c := newConn(target, nc, portal{group: group})
		target.logins = append(target.logins, c)
		target.conns[c] = struct{}{}
		target.wg.Add(1)
		target.mu.Unlock()
		go c.serve()
		drained := make(chan struct{})
		go func() {
			io.Copy(io.Discard, host)
			close(drained)
		}()
		host.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if loggedIn {
			host.Write(loginPDU())
		}
		host.Write(raw)
		host.Close()
		<-drained
		select {
		case <-c.ended:
		case <-time.After(5 * time.Second):
			t.Fatal("the connection did not end")
		}
		if n := pool.Used(); n != 0 {
			t.Fatalf("%d bytes of buffers were kept", n)
		}
	})
}

// FuzzLogin sends login texts in two requests, with any flags: a session comes of it
// only if the names are there, and every answer is a login response.
func FuzzLogin(f *testing.F) {
	names := pdu.AppendText(nil, loginKeys()...)
	f.Add(names, byte(0x87), []byte{}, byte(0x87))
	f.Add(names, byte(0x04), []byte("HeaderDigest=CRC32C,None\x00MaxBurstLength=0x4000\x00"), byte(0x87))
	f.Add([]byte("InitiatorName="), byte(0x44), []byte("iqn.x:y\x00SessionType=Discovery\x00"), byte(0x87))
	f.Add([]byte("InitiatorName=iqn.x:y\x00AuthMethod=CHAP,None\x00"), byte(0x81), []byte("CHAP_A=5,7\x00"), byte(0))
	l := newLab(f, 1<<20, func(c *Config) {
		c.Auth = accounts{hostName: {}, "iqn.x:y": {CHAP: true, User: "u", Secret: "a secret of length"}}
	})
	f.Fuzz(func(t *testing.T, one []byte, flags1 byte, two []byte, flags2 byte) {
		if len(one)+len(two) > 16<<10 {
			return
		}
		w := l.raw(t)
		defer w.nc.Close()
		for i, data := range [][]byte{one, two} {
			h := loginHeader(1, 3)
			h[1] = [2]byte{flags1, flags2}[i]
			w.send(h, data)
		}
		w.nc.(*net.TCPConn).CloseWrite()
		for {
			switch got := w.next(); {
			case got == "end":
				return
			case len(got) < 5 || got[:5] != "login":
				if !bytes.Contains(one, []byte("InitiatorName=")) && !bytes.Contains(two, []byte("InitiatorName=")) {
					t.Fatalf("%q, and nobody said who he is", got)
				}
			}
		}
	})
}

// FuzzKeys: the answer to a key is one that the protocol has, and what was negotiated
// stays within our limits.
func FuzzKeys(f *testing.F) {
	for _, k := range []string{"MaxBurstLength", "FirstBurstLength", "HeaderDigest", "InitialR2T", "DefaultTime2Wait", "MaxRecvDataSegmentLength", "X-key"} {
		f.Add(k, "8192", false)
		f.Add(k, "Yes", true)
	}
	f.Fuzz(func(t *testing.T, key, value string, discovery bool) {
		p := defaultParams()
		p.answer(key, value, discovery)
		p.settle()
		if p.maxBurst < 512 || p.maxBurst > ourMaxBurst || p.firstBurst < 512 || p.firstBurst > p.maxBurst || p.sendMax < 512 || p.sendMax > pdu.MaxDataLen {
			t.Fatalf("%s=%s leads to %+v", key, value, p)
		}
	})
}

// FuzzBinary: a binary value is decoded to no more bytes than it has characters.
func FuzzBinary(f *testing.F) {
	f.Add("0x00ff1")
	f.Add("0bAAEC")
	f.Add("0x")
	f.Fuzz(func(t *testing.T, s string) {
		if b, ok := binaryValue(s); ok && len(b) > len(s) {
			t.Fatalf("%q is %d bytes", s, len(b))
		}
	})
}
