// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// maxScript bounds what is taken as a script.
const maxScript = 1 << 20

// serve takes scripts until the guest ends.
func serve(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /run", run)
	s := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return s.ListenAndServe()
}

// run runs the script in the body and passes on what it writes as it comes. A caller
// that goes away ends it, and all that it started in its process group.
func run(w http.ResponseWriter, r *http.Request) {
	script, err := io.ReadAll(io.LimitReader(r.Body, maxScript))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Trailer", "Exit")
	w.WriteHeader(http.StatusOK)
	out := &flushed{w: w, rc: http.NewResponseController(w)}
	_ = out.rc.Flush() // the caller knows now that it runs
	cmd := exec.CommandContext(r.Context(), "/bin/bash", "-c", string(script))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for daemons that keep the output open
	err = cmd.Run()
	var exit *exec.ExitError
	code := 0
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		fmt.Fprintln(out, err)
		code = 127
	}
	w.Header().Set("Exit", strconv.Itoa(code))
}

// flushed sends every piece at once.
type flushed struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f *flushed) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	return n, errors.Join(err, f.rc.Flush())
}
