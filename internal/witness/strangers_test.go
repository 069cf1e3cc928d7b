// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

func TestStrangers(t *testing.T) {
	r := newRig(t)
	_, err := r.client(r.unknown).Status(t.Context())
	if array.KindOf(err) != array.Denied || !strings.Contains(err.Error(), r.unknown.Pin().String()) {
		t.Errorf("stranger: %v", err)
	}
	wrong := NewClient(ClientConfig{Address: r.addr, Identity: r.a, Witness: r.b.Pin()})
	if _, err := wrong.Status(t.Context()); !errors.Is(err, pki.ErrUnknownKey) {
		t.Errorf("another witness's key: %v", err)
	}
	st, err := r.client(r.a).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Refused != 1 || st.LastRefused.Key != r.unknown.Pin() || len(st.Clients) != 3 || st.Clients[0].Last.IsZero() || !st.Clients[1].Last.IsZero() {
		t.Errorf("status: %+v", st)
	}
	if err := r.server.SetClients([]ClientKey{{"u", r.unknown.Pin()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client(r.unknown).Status(t.Context()); err != nil {
		t.Errorf("once it is a client: %v", err)
	}
	if _, err := r.client(r.a).Status(t.Context()); array.KindOf(err) != array.Denied {
		t.Errorf("once it is none: %v", err)
	}
	for _, bad := range [][]ClientKey{{{"", r.a.Pin()}}, {{"x", pki.Pin{}}}, {{"x", r.a.Pin()}, {"y", r.a.Pin()}}, make([]ClientKey, MaxClients+1)} {
		if err := r.server.SetClients(bad); err == nil {
			t.Errorf("SetClients took %d clients", len(bad))
		}
	}
}

func TestHealthNeedsNoCertificate(t *testing.T) {
	r := newRig(t)
	conf := r.a.Client(pki.Only(r.id.Pin()))
	conf.Certificates = nil
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	for path, want := range map[string]int{"/healthz": 200, "/v1/status": 403, "/v1/none": 404} {
		resp, err := hc.Get("https://" + r.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
}

func TestBadRequests(t *testing.T) {
	r := newRig(t)
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: r.a.Client(pki.Any), DisableKeepAlives: true}}
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/v1/read", ``, 400},
		{"/v1/read", `{"keys":[]}`, 400},
		{"/v1/read", `{"keys":["a"],"more":1}`, 400},
		{"/v1/read", `{"keys":["a"]} {}`, 400},
		{"/v1/read", `{"keys":[` + strings.Repeat(`"a",`, MaxBatch) + `"a"]}`, 400},
		{"/v1/swap", `{"incarnation":"zz"}`, 400},
		{"/v1/swap", `{"incarnation":"00000000000000000000000000000000","swaps":[]}`, 409},
		{"/v1/read", `{"keys":["` + strings.Repeat("a", maxBody) + `"]}`, 413},
	} {
		resp, err := hc.Post("https://"+r.addr+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s %.40s: %d, want %d", c.path, c.body, resp.StatusCode, c.want)
		}
	}
}
