// SPDX-License-Identifier: Apache-2.0

// Command store measures the storage engine as hosts use it, but for iSCSI: journal,
// pool and the group of an un-mirrored volume above them, against fio on the same file
// system in the same run. It prints a line per figure,
//
//	name value unit peer ratio budget met|missed
//
// and how many budgets were met; value and peer are medians of the rounds, the ratio is
// the median of the rounds' ratios. Its exit status says whether the run worked, not
// what was met.
//
// # Invariants
//
//   - Ours and the peer's turns alternate, and neither leaves work behind that the
//     other's turn would have to bear.
//   - What is read is checked: each block says where it belongs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/test/bench/report"
)

// bench is one run.
type bench struct {
	dir    string
	rounds int
	time   time.Duration
	only   *regexp.Regexp
	lines  []report.Line
}

func main() {
	b := &bench{}
	flag.StringVar(&b.dir, "dir", "", "where to work, on a real disk; a fresh directory below .cache if empty")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of ours and fio's by turns")
	flag.DurationVar(&b.time, "time", 800*time.Millisecond, "how long a turn is")
	only := flag.String("run", "", "only the figures whose name this regular expression matches")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	if err := b.main(*only, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) main(only, profile string) (err error) {
	if b.only, err = regexp.Compile(only); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if b.rounds < 1 || b.time <= 0 {
		return errors.New("-rounds and -time must be positive")
	}
	parent := b.dir
	if parent == "" {
		parent = ".cache"
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(parent, "bench-store-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := onDisk(b.dir); err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return b.run()
}

// run measures all; each part leaves its files for the next to remove.
func (b *bench) run() error {
	for _, part := range []func() error{b.benchRates, b.benchIdle, b.benchRecovery, b.benchSparse} {
		if err := part(); err != nil {
			return err
		}
		if err := empty(b.dir); err != nil {
			return err
		}
	}
	return report.Print(os.Stdout, b.lines)
}

// onDisk refuses a directory in memory, where a flush costs nothing.
func onDisk(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("%s is in memory: name a directory on a disk with -dir", dir)
	}
	return nil
}

func empty(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, n := range names {
		err = errors.Join(err, os.RemoveAll(n))
	}
	return err
}

// wanted reports whether the run includes a figure.
func (b *bench) wanted(name string) bool { return b.only.MatchString(name) }

// note tells how the run goes on, beside its results.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
