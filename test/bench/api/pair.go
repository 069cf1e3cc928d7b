// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/test/bench/report"
)

const (
	user, password = "bench", "correct horse battery"
	readyIn        = time.Minute
)

// pair is a pair of arrays, with a program at each.
type pair struct {
	*rig.Rig
	options
	at    [2]*client
	lines []report.Line
	// empty is what the arrays took before there was anything on them.
	empty [2]usage
}

func bringUp(ctx context.Context, o options) (p *pair, err error) {
	r, err := rig.OnDisk(o.bin)
	if err != nil {
		return nil, err
	}
	p = &pair{Rig: r, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	for i := range p.at {
		if err := p.offerREST(i); err != nil {
			return p, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	if err := p.StartPair(ctx); err != nil {
		return p, err
	}
	if _, err := p.Command(ctx, rig.A, "createuser", "-c", password, user, "all", "super"); err != nil {
		return p, err
	}
	for i := range p.at {
		if err := p.connect(ctx, i); err != nil {
			return p, err
		}
		if p.empty[i], err = p.usage(ctx, i); err != nil {
			return p, err
		}
	}
	return p, nil
}

// offerREST adds the REST interface to an array's configuration.
func (p *pair) offerREST(i int) error {
	f, err := os.OpenFile(filepath.Join(p.Dir, rig.Name(i), "perdured.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n[wsapi]\nlisten = [\"0.0.0.0:8080\"]\n")
	return errors.Join(err, f.Close())
}

// connect logs the program at an array in.
func (p *pair) connect(ctx context.Context, i int) error {
	from, to := p.Lab.Node(lab.Host), p.Lab.Node(rig.Node(i))
	p.at[i] = newClient(&http.Transport{DialContext: from.DialContext}, fmt.Sprintf("%v:8080", to.Addr(lab.Fabric1)))
	var err error
	// The user is known to the other array a moment later.
	if e := p.Until(ctx, "the user at "+rig.Name(i), func() bool { err = p.at[i].login(ctx, user, password); return err == nil }); e != nil {
		return errors.Join(e, err)
	}
	return nil
}

func (p *pair) close() error {
	p.Close()
	return os.RemoveAll(p.Dir)
}

func groupName(g int) string     { return fmt.Sprintf("group%04d", g) }
func volumeName(g, v int) string { return fmt.Sprintf("group%04d.%d", g, v) }
