// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// settle is how long the noisy host runs before the quiet one is measured.
const settle = 300 * time.Millisecond

// noisyHost is the process of the noisy host.
type noisyHost struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (b *bench) startNoisy(ctx context.Context, l load) (*noisyHost, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &noisyHost{cmd: exec.CommandContext(ctx, self, "-noisy", b.addr, "-load", l.name,
		"-sessions", strconv.Itoa(b.sessions), "-depth", strconv.Itoa(b.depth), "-mib", strconv.Itoa(b.mib))}
	n.cmd.Stderr = os.Stderr
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	n.out = bufio.NewReader(out)
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := n.out.ReadString('\n'); err != nil { // "running"
		return nil, fmt.Errorf("the noisy host: %w", errors.Join(err, n.cmd.Wait()))
	}
	return n, nil
}

// stop ends the noisy host and returns how many commands a second it had answered.
func (n *noisyHost) stop() (float64, error) {
	if err := n.in.Close(); err != nil {
		return 0, err
	}
	text, err := n.out.ReadString('\n')
	if err = errors.Join(err, n.cmd.Wait()); err != nil {
		return 0, err
	}
	return strconv.ParseFloat(text[:len(text)-1], 64)
}

// beNoisy keeps every session's window full until its input ends.
func (b *bench) beNoisy(ctx context.Context) error {
	var l load
	for _, k := range loads {
		if k.name == b.load.name {
			l = k
		}
	}
	// The noisy host stands for another machine: what it takes of this one's processors
	// shall not count. (An error only makes the figures worse.)
	_ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 19)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, b.sessions)
	for i := range b.sessions {
		s, err := login(b.addr, noisyName, i)
		if err != nil {
			return err
		}
		defer s.close()
		wg.Go(func() {
			if err := s.flood(ctx, l, b.blocks(), b.depth, &done); err != nil {
				errs <- err
				stop()
			}
		})
	}
	time.Sleep(settle)
	began, before := time.Now(), done.Load()
	fmt.Println("running")
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); stop() }()
	<-ctx.Done()
	fmt.Println(strconv.FormatFloat(float64(done.Load()-before)/time.Since(began).Seconds(), 'f', 0, 64))
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// flood keeps depth commands under way, as far as the window lets it.
func (s *session) flood(ctx context.Context, l load, blocks, depth int, done *atomic.Int64) error {
	free := make([]uint32, depth)
	for i := range free {
		free[i] = uint32(i)
	}
	for ctx.Err() == nil {
		for len(free) > 0 && (s.window() || len(free) == depth) {
			s.put(l, blocks, free[len(free)-1])
			free = free[:len(free)-1]
		}
		if len(s.out) > 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
		tag, busy, err := s.next()
		if err != nil {
			return err
		}
		free = append(free, tag)
		if !busy {
			done.Add(1)
		}
	}
	return nil
}

// fill writes both volumes, so that reads find something.
func (b *bench) fill() error {
	for _, name := range []string{quietName, noisyName} {
		s, err := login(b.addr, name, 99)
		if err != nil {
			return err
		}
		defer s.close()
		const chunk = 128
		for at := 0; at < b.blocks(); at += chunk {
			s.put(load{write: true, blocks: chunk}, chunk, 1)
			// put chose block 0: the only place that so small a range has.
			h := s.out[:48]
			h[40], h[41] = byte(at>>8), byte(at)
			h[38], h[39] = byte(at>>24), byte(at>>16)
			if err := s.flush(); err != nil {
				return err
			}
			if _, busy, err := s.next(); err != nil || busy {
				return fmt.Errorf("fill %s at block %d: busy %v, %w", name, at, busy, err)
			}
		}
	}
	return nil
}
