// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
	"github.com/perdure/perdure/internal/wsapi/rest"
)

// restAgain is when the REST interface is tried again.
const restAgain = 5 * time.Second

// serve takes commands on the socket, and requests over HTTPS, until ctx ends. Hosts are
// served whether or not people's programs are: an address that can't be had is told, and
// tried again.
func serve(ctx context.Context, cfg node.Config, n *node.Node, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	if len(cfg.WSAPI.Listen) > 0 {
		c := rest.Config{Array: n, People: n.People(), Listen: cfg.WSAPI.Listen, TLS: n.ManagementTLS(), Logger: log}
		wg.Go(func() { serveREST(ctx, c, n, log) })
	}
	return wsapi.Serve(ctx, cfg.Socket, n)
}

func serveREST(ctx context.Context, c rest.Config, n *node.Node, log *slog.Logger) {
	told := ""
	for ctx.Err() == nil {
		if err := rest.Serve(ctx, c); err != nil && ctx.Err() == nil {
			err = node.ListenFailed("wsapi.listen", err)
			log.Error("there is no REST interface", "err", err, "tried again in", restAgain)
			if told != err.Error() {
				told = err.Error()
				n.Alarm("there is no REST interface: " + told)
			}
		}
		select {
		case <-time.After(restAgain):
		case <-ctx.Done():
		}
	}
}
