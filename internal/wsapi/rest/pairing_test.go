// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
	witnesses "github.com/perdure/perdure/internal/witness"
)

// openStrangers opens arrays that know nothing of each other.
func openStrangers(t *testing.T, count int) (faces []*face, listen []string) {
	t.Helper()
	for i := range count {
		dir := t.TempDir()
		if _, err := pki.LoadOrCreate(filepath.Join(dir, "identity"), "array", time.Now()); err != nil {
			t.Fatal(err)
		}
		listen = append(listen, freePort(t))
		c := node.Config{Name: fmt.Sprintf("array-%c", 'a'+i), SystemID: array.SystemID(i + 1), DataDir: dir}
		c.LoginCost = people.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}
		c.ISCSI = node.ISCSI{Name: "iqn.2026-01.io.perdure:" + c.Name, Portals: []string{"127.0.0.1:0"}}
		c.Journal.SizeMiB, c.Memory.BuffersMiB, c.Memory.OverlayMiB = 64, 64, 32
		c.CPGs = []node.CPG{{Name: "cpg0", Dir: filepath.Join(dir, "cpg0"), LimitGiB: 1}}
		c.Links.Listen = []string{listen[i], freePort(t)}
		f := openFace(t, c)
		f.command("createuser", "-c", password, "super", "all", "super")
		f.login("super")
		faces = append(faces, f)
	}
	return faces, listen
}

// TestPairByREST: two arrays become a pair by what each tells of itself, and are none again.
func TestPairByREST(t *testing.T) {
	const v = "/api/v1"
	faces, listen := openStrangers(t, 2)
	a, b := faces[0], faces[1]
	a.refuses(404, 1033, "POST", v+"/witness", `{"address":"192.0.2.9","key":"sha256:00"}`)
	a.refuses(404, 1112, "PUT", v+"/witness", `{"action":1}`)
	a.refuses(404, 1112, "DELETE", v+"/witness", "")
	a.refuses(403, 1003, "POST", v+"/remotecopylinks", `{"targetName":"array-b","portPos":{"cardPort":2},"link":"192.0.2.1"}`)
	for _, w := range []wrong{
		{400, 40, "POST", "/remotecopytargets", `{}`},
		{400, 40, "POST", "/remotecopytargets", `{"name":"array-b"}`},
		{400, 46, "POST", "/remotecopytargets", `{"name":"array-b","type":7}`},
		{501, 9, "POST", "/remotecopytargets", `{"name":"array-b","type":2}`},
		{501, 9, "POST", "/remotecopytargets", `{"name":"array-b","type":1,"disabled":true}`},
		{400, 40, "POST", "/remotecopytargets", `{"name":"array-b","type":1}`},
		{400, 40, "POST", "/remotecopytargets", `{"name":"array-b","type":1,"portPosAndLink":[{"link":"192.0.2.1"}]}`},
		{400, 40, "POST", "/remotecopytargets", `{"name":"array-b","type":1,"systemId":2,"portPosAndLink":[{"link":"192.0.2.1"}]}`},
		{400, 12, "POST", "/remotecopytargets", `{"name":"array-b","type":1,"systemId":2,"key":"-x","portPosAndLink":[{"link":"192.0.2.1"}]}`},
		{400, 12, "POST", "/remotecopytargets", `{"name":"array-b","type":1,"systemId":2,"key":"sha256:1","portPosAndLink":[{"link":"192.0.2.1"}]}`},
		{400, 12, "POST", "/remotecopytargets", `{"name":"array-b","type":1,"systemId":2,"nonsense":1}`},
	} {
		a.refuses(w.status, w.code, w.method, v+w.path, w.body)
	}
	join := func(f, o *face, at string) string {
		s := get[system](o, v+"/system")
		return fmt.Sprintf(`{"name":%q,"type":1,"systemId":%d,"key":%q,"portPosAndLink":[{"portPos":{"node":0,"slot":0,"cardPort":1},"link":%q}]}`, s.Name, s.ID, s.IdentityKey, at)
	}
	if r := a.wants(201, "POST", v+"/remotecopytargets", join(a, b, listen[1])); r.location != v+"/remotecopytargets/array-b" {
		t.Error(r)
	}
	a.refuses(409, 1101, "POST", v+"/remotecopytargets", join(a, b, listen[1]))
	b.wants(201, "POST", v+"/remotecopytargets", join(b, a, listen[0]))
	a.until("the other array", func() bool { return get[target](a, v+"/remotecopytargets/array-b").State == targetReady })

	r := a.wants(201, "POST", v+"/remotecopylinks", `{"targetName":"array-b","portPos":{"node":0,"slot":0,"cardPort":2},"link":"192.0.2.1"}`)
	if x := get[remoteLink](a, r.location); x.RemoteAddress != "192.0.2.1:5785" || x.Address != "192.0.2.1" || x.State != linkDown {
		t.Errorf("%+v", x)
	}
	a.refuses(400, 40, "POST", v+"/remotecopylinks", `{"targetName":"array-b"}`)
	a.refuses(400, 69, "POST", v+"/remotecopylinks", `{"targetName":"array-b","link":"a b"}`)
	a.wants(200, "DELETE", r.location, "")
	a.refuses(404, 1034, "DELETE", r.location, "")
	a.refuses(409, 1102, "DELETE", v+"/remotecopylinks/array-b_0_0_1", "")

	a.refuses(400, 40, "POST", v+"/witness", `{"key":"sha256:00"}`)
	a.refuses(400, 40, "POST", v+"/witness", `{"address":"192.0.2.9"}`)
	a.refuses(400, 12, "POST", v+"/witness", `{"address":"-f","key":"sha256:00"}`)
	key := get[system](b, v+"/system").IdentityKey[:70] + "x"
	a.refuses(400, 12, "POST", v+"/witness", fmt.Sprintf(`{"address":"192.0.2.9","key":%q}`, key))
	a.wants(201, "POST", v+"/witness", `{"address":"127.0.0.1:1","key":"sha256:2222222222222222222222222222222222222222222222222222222222222222"}`)
	if w := get[witness](a, v+"/witness"); w.Address != "127.0.0.1:1" || w.Started || w.Reached {
		t.Errorf("%+v", w)
	}
	a.refuses(400, 46, "PUT", v+"/witness", `{"action":4}`)
	a.wants(200, "PUT", v+"/witness", `{"action":1}`)
	a.refuses(503, 1104, "PUT", v+"/witness", `{"action":3}`) // nobody listens there
	a.refuses(409, 1102, "DELETE", v+"/witness", "")
	a.refuses(403, 1115, "DELETE", v+"/remotecopytargets/array-b", "") // the witness would be forgotten
	a.wants(200, "PUT", v+"/witness", `{"action":2}`)
	a.wants(200, "DELETE", v+"/witness", "")

	a.wants(201, "POST", v+"/remotecopygroups", `{"name":"g","targets":[{"targetName":"array-b","mode":1}]}`)
	a.refuses(409, 1102, "DELETE", v+"/remotecopytargets/array-b", "")
	a.wants(200, "DELETE", v+"/remotecopygroups/g", "")
	for i, f := range faces {
		f.wants(200, "DELETE", v+"/remotecopytargets/"+faces[1-i].n.System().Name, "")
		if x := get[collection[target]](f, v+"/remotecopytargets"); x.Total != 0 {
			t.Errorf("%+v", x)
		}
	}
}

// openWitness opens a witness for these arrays, and says where it is and what its key is.
func openWitness(t *testing.T, arrays ...*face) (address, key string) {
	t.Helper()
	id, err := pki.Create("witness", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, err := witnesses.OpenStore(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	cfg := witnesses.ServerConfig{Identity: id, Store: store, Version: "7.8.9", Logger: slog.New(slog.DiscardHandler)}
	for _, a := range arrays {
		pin, err := pki.ParsePin(get[system](a, "/api/v1/system").IdentityKey)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Clients = append(cfg.Clients, witnesses.ClientKey{Name: a.n.System().Name, Key: pin})
	}
	server, err := witnesses.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = store.Close()
	})
	return l.Addr().String(), id.Pin().String()
}

// TestWitnessIsChecked: what it answered is told, as the command line tells it.
func TestWitnessIsChecked(t *testing.T) {
	const v = "/api/v1"
	fs, listen := openStrangers(t, 2)
	a := fs[0]
	o := get[system](fs[1], v+"/system")
	a.wants(201, "POST", v+"/remotecopytargets", fmt.Sprintf(`{"name":%q,"type":1,"systemId":%d,"key":%q,"portPosAndLink":[{"portPos":{"node":0,"slot":0,"cardPort":1},"link":%q}]}`, o.Name, o.ID, o.IdentityKey, listen[1]))
	address, key := openWitness(t, fs...)
	a.wants(201, "POST", v+"/witness", fmt.Sprintf(`{"address":%q,"key":%q}`, address, key))
	r := a.wants(200, "PUT", v+"/witness", `{"action":3}`)
	var k witnessCheck
	if err := json.Unmarshal(r.body, &k); err != nil || k.Address != address || k.Version != "7.8.9" || k.RoundTripMs <= 0 {
		t.Errorf("%v (%v)", r, err)
	}
	if get[witness](a, v+"/witness").Started {
		t.Error("a check started it")
	}
}
