// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
)

// The messages of a read of 4 KiB: a command, and an answer with the data in one PDU.
const (
	question = 48
	answer   = 48 + 4096
)

// serveEcho answers questions over TCP until standard input ends. It answers all that it
// has read before it writes, so that it batches as well as it can.
func serveEcho() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func answerAll(c net.Conn) {
	defer c.Close()
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriterSize(c, 256<<10)
	q, a := make([]byte, question), make([]byte, answer)
	for {
		if in.Buffered() < question && out.Flush() != nil {
			return
		}
		if _, err := io.ReadFull(in, q); err != nil {
			return
		}
		if _, err := out.Write(a); err != nil {
			return
		}
	}
}

func (s *stand) startEcho() (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-echo")
	if _, err = cmd.StdinPipe(); err != nil { // it ends with us
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd.Stdout = write
	err = errors.Join(s.spawn(cmd, "echo"), write.Close())
	if err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(read).ReadString('\n')
	return &target{name: "echo", addr: strings.TrimSpace(addr), pid: cmd.Process.Pid}, err
}
