// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/wsapi/remote"
)

// pinOf is the key that a server shows.
func pinOf(t *testing.T, url string) pki.Pin {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pin, _ := pki.PeerPin(c.ConnectionState())
	return pin
}

// TestTheCommandLineOverHTTPS: its words, styles, errors and rights are those of
// the socket, and nothing is told to an array that is not the one that is meant.
func TestTheCommandLineOverHTTPS(t *testing.T) {
	f := openFaces(t, 1)[0]
	f.command("createvv", "cpg0", "v", "64")
	f.served("v")
	pin := pinOf(t, f.url)
	o := remote.Options{URL: f.url, Pin: &pin, User: "edit", Password: password}
	c, err := remote.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	do := func(words string) (string, error) {
		return c.Do(t.Context(), strings.Fields(words), table.Style{CSV: true, NoHdTot: true}, nil)
	}
	if text, err := do("showvv -showcols Name,VSize_MB"); err != nil || text != "v,64\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := do("removevv v"); array.ReasonOf(err) != array.Unconfirmed {
		t.Errorf("%v", err)
	}
	if _, err := do("showvv nothing"); err == nil || err.Error() != "volume nothing does not exist" || array.KindOf(err) != array.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := do("createuser -c long-enough eve all super"); array.KindOf(err) != array.Denied {
		t.Errorf("%v", err)
	}
	if _, err := c.Do(t.Context(), []string{"scrub"}, table.Style{}, func(progress.Step) {}); err != nil {
		t.Error(err)
	}
	for _, s := range f.n.People().Sessions(time.Now()) { // one that is over is begun again
		if s.User == "edit" {
			f.n.People().Logout(s.Key)
		}
	}
	if _, err := do("showsys"); err != nil {
		t.Error(err)
	}
	c.Close()
	for _, s := range f.n.People().Sessions(time.Now()) {
		if s.User == "edit" {
			t.Error("the session is still there")
		}
	}
	if text, err := f.n.Run(t.Context(), []string{"showeventlog", "-audit", "-csvtable"}); err != nil || !strings.Contains(text, ",https,removevv v,") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestWhomTheCommandLineTrusts.
func TestWhomTheCommandLineTrusts(t *testing.T) {
	f := openFaces(t, 1)[0]
	pin := pinOf(t, f.url)
	good := remote.Options{URL: f.url, Pin: &pin, User: "edit", Password: password}
	for tells, change := range map[string]func(*remote.Options){
		"unknown key":           func(o *remote.Options) { other := pin; other[0]++; o.Pin = &other },
		"is with sha256:000000": func(o *remote.Options) { o.Pin = &pki.Pin{} },
		"--pin " + pin.String(): func(o *remote.Options) { o.Pin = nil },
		"want https://":         func(o *remote.Options) { o.URL = strings.Replace(o.URL, "https", "http", 1) },
		"want a user's name":    func(o *remote.Options) { o.User = "" },
		"password":              func(o *remote.Options) { o.Password = "not this one" },
	} {
		o := good
		change(&o)
		if c, err := remote.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), tells) {
			t.Errorf("%q: %v, %v", tells, c, err)
		}
	}
	c, err := remote.Open(t.Context(), remote.Options{URL: f.url, Pin: &pin, Key: f.key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), []string{"showsys"}, table.Style{}, nil); err != nil {
		t.Error(err)
	}
	c.Close()
	f.wants(http.StatusOK, "GET", "/api/v1/system", "") // the session that was given stays
	f.refuses(http.StatusBadRequest, 40, "POST", "/api/v1/cli", `{"words":[]}`)
}
