// SPDX-License-Identifier: Apache-2.0

//go:build soak

package soak

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perdure/perdure/internal/lab"
)

// usage is what a process uses at a quiet moment.
type usage struct {
	at          time.Duration // since the run began
	life        int           // its process id: another life is another one
	resident    float64       // MiB
	heap        float64       // MiB, 0 if it does not tell
	goroutines  float64       // 0 if it does not tell
	descriptors float64
}

// look looks at a process from outside.
func look(p *lab.Proc, at time.Duration) (usage, error) {
	u := usage{at: at, life: p.Pid()}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		return u, fmt.Errorf("count descriptors: %w", err)
	}
	u.descriptors = float64(len(fds))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return u, fmt.Errorf("read memory in use: %w", err)
	}
	for _, l := range strings.Split(string(status), "\n") {
		if f := strings.Fields(l); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return u, fmt.Errorf("read memory in use: %q", l)
			}
			u.resident = kib / 1024
		}
	}
	return u, nil
}

var told = regexp.MustCompile(`msg="in use".* goroutines=(\d+) heap=(\d+)`)

// ask lets a daemon tell what it uses, which it does in its log.
func ask(p *lab.Proc, u *usage) error {
	f, err := os.Open(p.File())
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	var said []byte
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		said = append(said, b...)
		if m := told.FindSubmatch(said); m != nil {
			u.goroutines, _ = strconv.ParseFloat(string(m[1]), 64)
			u.heap, _ = strconv.ParseFloat(string(m[2]), 64)
			u.heap /= 1 << 20
			return nil
		}
	}
	return fmt.Errorf("the daemon with the log %s does not tell what it uses", p.File())
}

// leastSamples is how many moments of a life it takes to say that it is flat.
const leastSamples = 12

// growth says what grew over the longest life among samples: what was used in its last
// third against the third before. The first third is left to caches that fill.
func growth(all []usage) (lived time.Duration, err error) {
	lives := map[int][]usage{}
	var longest []usage
	for _, u := range all {
		lives[u.life] = append(lives[u.life], u)
		if len(lives[u.life]) > len(longest) {
			longest = lives[u.life]
		}
	}
	n := len(longest)
	if n < leastSamples {
		return 0, nil
	}
	lived = longest[n-1].at - longest[0].at
	before, after := longest[n/3:2*n/3], longest[2*n/3:]
	for _, c := range []struct {
		name  string
		of    func(usage) float64
		slack float64 // beside a tenth
	}{
		{"MiB of resident memory", func(u usage) float64 { return u.resident }, 16},
		{"MiB of heap", func(u usage) float64 { return u.heap }, 16},
		{"goroutines", func(u usage) float64 { return u.goroutines }, 10},
		{"descriptors", func(u usage) float64 { return u.descriptors }, 5},
	} {
		was, is := middle(before, c.of), middle(after, c.of)
		if is > was*1.1+c.slack {
			return lived, fmt.Errorf("%s grew from %.0f to %.0f in a life of %v", c.name, was, is, lived.Round(time.Second))
		}
	}
	return lived, nil
}

func middle(all []usage, of func(usage) float64) float64 {
	var v []float64
	for _, u := range all {
		v = append(v, of(u))
	}
	slices.Sort(v)
	return v[len(v)/2]
}
