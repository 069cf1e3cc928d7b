// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/test/kernel/guest"
)

// database is SQLite in a file system on a host's volume: it commits one transaction after
// the other, each with a row whose content follows from its number and a change of a
// counter, and tells the number once the commit is done.
type database struct {
	h       *linux
	fs      string // ext4 or xfs
	journal string // SQLite's own: delete or wal
	job     *guest.Job
	stop    context.CancelFunc
}

// mount is where the file system is.
const mount = "/mnt/volume"

// newDatabase makes file system and database.
func newDatabase(ctx context.Context, h *linux, fs, journal string) (*database, error) {
	d := &database{h: h, fs: fs, journal: journal}
	out, err := h.Run(ctx, fmt.Sprintf(`set -e
wipefs -qa %[1]s
mkfs.%[2]s %[4]s %[1]s
mkdir -p %[3]s
mount %[1]s %[3]s
sqlite3 %[3]s/db "PRAGMA journal_mode=%[5]s; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE c(n INTEGER); INSERT INTO c VALUES(0);"`,
		h.device, fs, mount, map[string]string{"ext4": "-q -F", "xfs": "-q -f"}[fs], journal))
	if err != nil {
		return nil, fmt.Errorf("make a database on %s: %w\n%s", fs, err, out)
	}
	return d, nil
}

// start lets it commit, from the first number that it does not have.
func (d *database) start(ctx context.Context) error {
	ctx, d.stop = context.WithCancel(ctx)
	var err error
	d.job, err = d.h.Start(ctx, fmt.Sprintf(`set -e
n=$(sqlite3 %[1]s/db "SELECT coalesce(max(id),0)+1 FROM t")
awk -v n="$n" 'BEGIN {
  print ".bail on\nPRAGMA synchronous=FULL;"
  for (i = n; ; i++) {
    printf "BEGIN IMMEDIATE; INSERT INTO t VALUES(%%d, printf(\x27%%%%0300d\x27, %%d * 7919)); UPDATE c SET n = n + 1; COMMIT; SELECT %%d, (julianday(\x27now\x27) - 2440587.5) * 86400;\n", i, i, i
    fflush() } }' | stdbuf -oL sqlite3 -batch %[1]s/db`, mount))
	return err
}

// acked returns the last number that was told, and the longest time between two.
func (d *database) acked() (last int, gap time.Duration, err error) {
	before := 0.0
	for _, l := range strings.Split(d.job.Text(), "\n") {
		number, at, ok := strings.Cut(l, "|")
		if !ok {
			continue // the last line may not be whole, and pragmas say things too
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return 0, 0, fmt.Errorf("the database says %q: %w", l, err)
		}
		t, err := strconv.ParseFloat(at, 64)
		if err != nil {
			break
		}
		if last > 0 && n != last+1 {
			return 0, 0, fmt.Errorf("the database tells commit %d after %d", n, last)
		}
		if before > 0 {
			gap = max(gap, time.Duration((t-before)*float64(time.Second)))
		}
		last, before = n, t
	}
	return last, gap, nil
}

// goesOn waits until it has committed on.
func (d *database) goesOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goesOnIn)
	defer cancel()
	before, _, err := d.acked()
	for err == nil {
		var n int
		if n, _, err = d.acked(); n > before+20 {
			return nil
		}
		select {
		case <-d.job.Done():
			text, err := d.job.Wait()
			return fmt.Errorf("the database has ended: %w\n%s", err, text[max(0, len(text)-500):])
		case <-ctx.Done():
			paths, _ := d.h.Run(context.WithoutCancel(ctx), "multipath -ll; dmesg | tail -30")
			return fmt.Errorf("the database stands still: %w\n%s", ctx.Err(), paths)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// end stops it and returns what acked does.
func (d *database) end(ctx context.Context) (last int, gap time.Duration, err error) {
	select {
	case <-d.job.Done():
		text, err := d.job.Wait()
		return 0, 0, fmt.Errorf("the database ended by itself: %w\n%s", err, text[max(0, len(text)-500):])
	default:
	}
	_, err = d.h.Run(ctx, "pkill -x sqlite3; while pgrep -x sqlite3 >/dev/null; do sleep .05; done")
	<-d.job.Done()
	d.stop()
	last, gap, e := d.acked()
	return last, gap, errors.Join(err, e)
}

// check makes sure that all that was told is there, and whole: the database's own check,
// every row, the counter; and, unmounted, the file system's. What was committed last may not
// have been told any more.
func (d *database) check(ctx context.Context, acked int) error {
	out, err := d.h.Run(ctx, fmt.Sprintf(`set -e
mountpoint -q %[1]s || mount %[2]s %[1]s
sqlite3 -batch %[1]s/db "PRAGMA integrity_check; SELECT count(*), coalesce(max(id),0), (SELECT n FROM c), coalesce(sum(v <> %[4]s),0) FROM t;"
umount %[1]s
case %[3]s in
ext4) fsck.ext4 -fn %[2]s >/tmp/fsck 2>&1 || { cat /tmp/fsck; exit 1; } ;;
xfs) xfs_repair -n %[2]s >/tmp/fsck 2>&1 || { cat /tmp/fsck; exit 1; } ;;
esac
mount %[2]s %[1]s`, mount, d.h.device, d.fs, "printf('%0300d', id * 7919)"))
	if err != nil {
		return fmt.Errorf("look at the database on %s: %w\n%s", d.fs, err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || lines[0] != "ok" {
		return fmt.Errorf("the database on %s: integrity_check says\n%s", d.fs, out)
	}
	var rows, newest, counter, wrong int
	if _, err := fmt.Sscanf(strings.ReplaceAll(lines[1], "|", " "), "%d %d %d %d", &rows, &newest, &counter, &wrong); err != nil {
		return fmt.Errorf("the database on %s says %q: %w", d.fs, lines[1], err)
	}
	if newest < acked || rows != newest || counter != rows || wrong != 0 {
		return fmt.Errorf("the database on %s has %d rows, the newest %d, counted %d, %d of them wrong; %d commits were told", d.fs, rows, newest, counter, wrong, acked)
	}
	return nil
}

// leave unmounts the file system, which writes by itself as long as it is mounted: ext4
// makes its tables of inodes ready over minutes.
func (d *database) leave(ctx context.Context) error {
	if out, err := d.h.Run(ctx, "umount "+mount); err != nil {
		return fmt.Errorf("unmount %s: %w\n%s", d.fs, err, out)
	}
	return nil
}
