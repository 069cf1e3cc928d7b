// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perdure/perdure/test/kernel/guest"
)

// The load: writes whose content fio looks at soon after, and reads beside them, few
// enough that a host's pauses are the arrays' and not its own.
const fioScript = `
rm -rf /tmp/fio; mkdir /tmp/fio; cd /tmp/fio
trap 'kill -INT $(jobs -p); wait' TERM
fio --output=/tmp/fio/out --output-format=json --filename=%s --direct=1 --ioengine=libaio --bs=4k --log_unix_epoch=1 \
  --name=write --size=40m --rw=randwrite --iodepth=4 --rate_iops=150 --loops=100000 \
    --verify=crc32c --verify_backlog=32 --verify_fatal=1 --write_lat_log=write \
  --name=read --offset=40m --size=8m --rw=randread --iodepth=2 --rate_iops=50 --loops=100000 --write_lat_log=read &
wait $!
`

// endFio interrupts fio, again if that was in vain: one that is just starting does not heed
// it. Only its first process is: it ends its jobs by a word in shared memory, and a job that
// is interrupted itself may wait for a lock for ever that it holds (its handler prints). What
// hangs for half a minute tells where.
const endFio = `
for n in $(seq 600); do
  [ $((n % 20)) != 1 ] || pkill -INT -o -x fio
  pgrep -x fio >/dev/null || exit 0
  sleep .05
done
` + tellFio + `
pkill -KILL -x fio
exit 1
`

// tellFio tells what fio waits for: itself, the kernel, or the arrays.
const tellFio = `
cat /tmp/fio/out
ps -eo pid,stat,time,wchan:24,args | grep '[f]io'
for p in $(pgrep -x fio); do cat /proc/$p/stack; grep -E 'State|Sig|Shd' /proc/$p/status; done
for d in /sys/block/dm-* /sys/block/sd*; do echo $d: under way $(cat $d/inflight), done $(cat $d/stat); done
multipath -ll; free -m; dmesg | tail -30
`

// fio is fio at work in a host.
type fio struct {
	h   *linux
	job *guest.Job
}

// startLoad starts fio on the host's volume and waits until it writes.
func (h *linux) startLoad(ctx context.Context) error {
	j, err := h.Start(ctx, fmt.Sprintf(fioScript, h.device))
	if err != nil {
		return err
	}
	h.load = &fio{h: h, job: j}
	return h.goesOn(ctx)
}

// written returns how many writes the device has carried out.
func (h *linux) written(ctx context.Context) (int, error) {
	out, err := h.Run(ctx, "cat /sys/block/$(basename $(readlink "+h.device+"))/stat")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(out)
	if len(f) < 5 {
		return 0, fmt.Errorf("statistics of %s: %q", h.device, out)
	}
	return strconv.Atoi(f[4])
}

// goesOnIn is how long a host may take until it writes again.
const goesOnIn = 60 * time.Second

// goesOn waits until the host has written on.
func (h *linux) goesOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goesOnIn)
	defer cancel()
	before, err := h.written(ctx)
	for err == nil {
		var n int
		if n, err = h.written(ctx); n > before+100 {
			return nil
		}
		select {
		case <-h.load.job.Done():
			_, err = h.load.job.Wait()
			return fmt.Errorf("host %s: fio has ended: %w", h.name, err)
		case <-ctx.Done():
			paths, _ := h.Run(context.WithoutCancel(ctx), tellFio)
			return fmt.Errorf("host %s stands still: %w\n%s", h.name, ctx.Err(), paths)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// seen is what fio saw.
type seen struct {
	writes, reads int
	codes         []int // of jobs that ended with an error, as in errno
	log           []completion
}

type completion struct {
	at   time.Time // of the end
	took time.Duration
}

// pause returns the longest that a command took that ended in the window.
func (s seen) pause(from, to time.Time) time.Duration { return s.slowest(from, to).took }

func (s seen) slowest(from, to time.Time) (slowest completion) {
	for _, c := range s.log {
		if !c.at.Before(from) && !c.at.After(to) && c.took > slowest.took {
			slowest = c
		}
	}
	return slowest
}

// bad says what the application should not have seen. A host that lost its only array may
// have seen commands fail, but never data that were not what they should be.
func (s seen) bad(lost bool) error {
	for _, c := range s.codes {
		if lost && (c == int(syscall.EIO) || c == int(syscall.ENODEV)) {
			continue
		}
		return fmt.Errorf("fio ended with an error: %w", syscall.Errno(c))
	}
	return nil
}

// stopLoad ends fio and returns what it saw.
func (h *linux) stopLoad(ctx context.Context) (seen, error) {
	var s seen
	if h.load == nil {
		return s, nil
	}
	job := h.load.job
	h.load = nil
	if _, err := h.Run(ctx, endFio); err != nil {
		return s, err
	}
	said, _ := job.Wait() // fio that was interrupted ends with a status of its own: what it wrote counts
	out, err := h.Run(ctx, "cat /tmp/fio/out")
	if err != nil {
		return s, fmt.Errorf("%w\n%s", err, said)
	}
	if err := s.count(out); err != nil {
		return s, fmt.Errorf("what fio says on host %s: %w\n%s\n%s", h.name, err, said, out)
	}
	log, err := h.Run(ctx, "cat /tmp/fio/*_lat.*.log")
	if err != nil {
		return s, err
	}
	return s, s.read(log)
}

// count reads fio's summary. Before it fio may have written lines of its own.
func (s *seen) count(out string) error {
	var sum struct {
		Jobs []struct {
			Error int
			Read  struct {
				Total int `json:"total_ios"`
			}
			Write struct {
				Total int `json:"total_ios"`
			}
		}
	}
	start := strings.Index(out, "{")
	if start < 0 {
		return fmt.Errorf("no summary")
	}
	if err := json.NewDecoder(strings.NewReader(out[start:])).Decode(&sum); err != nil {
		return err
	}
	for _, j := range sum.Jobs {
		s.reads += j.Read.Total
		s.writes += j.Write.Total
		if j.Error != 0 {
			s.codes = append(s.codes, j.Error)
		}
	}
	return nil
}

// read reads latency logs: milliseconds since 1970, nanoseconds, direction, size, offset.
func (s *seen) read(log string) error {
	for _, l := range strings.Split(strings.TrimSpace(log), "\n") {
		f := strings.Split(l, ",")
		if len(f) < 2 {
			continue
		}
		at, err := strconv.ParseInt(strings.TrimSpace(f[0]), 10, 64)
		if err != nil {
			return fmt.Errorf("fio's log says %q: %w", l, err)
		}
		took, err := strconv.ParseInt(strings.TrimSpace(f[1]), 10, 64)
		if err != nil {
			return fmt.Errorf("fio's log says %q: %w", l, err)
		}
		s.log = append(s.log, completion{time.UnixMilli(at), time.Duration(took)})
	}
	return nil
}
