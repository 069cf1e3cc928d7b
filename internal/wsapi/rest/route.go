// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"slices"

	"github.com/perdure/perdure/internal/people"
)

// route is one entry of the table of routes. Paths are below /api/v1.
type route struct {
	method, path string
	right        people.Right
	about        string
	do           func(*call) (answer, error)
	// in is an example of what the body is decoded to, out of what is answered; nil for
	// none. query are the names in the query string.
	in, out any
	query   []string
	// open: needs no session.
	open bool
	// status is what success answers, 200 if it is 0.
	status int
	// own: the incumbent has nothing like it.
	own bool
}

func routes() []route {
	return slices.Concat(
		systemRoutes(), userRoutes(), cpgRoutes(), volumeRoutes(), keyRoutes(), setRoutes(), hostRoutes(), vlunRoutes(), portRoutes(),
		taskRoutes(), eventRoutes(), alertRoutes(), groupRoutes(), groupPartRoutes(), targetRoutes(), pairingRoutes(), protectRoutes(), ownRoutes(), cliRoutes(), qosRoutes(), proximityRoutes(), domainRoutes(), absentRoutes(),
	)
}

// answer is what a route answers with success.
type answer struct {
	status   int
	location string
	body     any
	// streamed: the route has written the answer itself.
	streamed bool
}

func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

// done answers a change; the location is where the object is now.
func done(location string) (answer, error) {
	return answer{status: http.StatusOK, location: location}, nil
}

func created(location string) (answer, error) {
	return answer{status: http.StatusCreated, location: location}, nil
}

const base = "/api/v1"
