// SPDX-License-Identifier: Apache-2.0

package iscsi

func later() error { return nil }

const (
	// directBytes is up to how much the reader tries to send itself.
	directBytes = 256 << 10
	// maxParts is how many pieces the kernel takes at a time (IOV_MAX).
	maxParts = 1024
)

// direct sends what is queued in the reader's own turn, as far as the socket takes
// it without waiting: a command alone on its session is answered without a change
// of goroutine. What the socket doesn't take is left to the writer, as is all of
// it when the writer is at work or there is much. It reports whether nothing is
// left to do.
func (w *output) direct() bool {
	if w.raw == nil || !w.conn.ready.Load() || !w.sending.TryLock() {
		return false
	}
	defer w.sending.Unlock()
	if len(w.parts) > 0 || !w.small() {
		return false
	}
	batch, stopped := w.take()
	if stopped {
		for i := range batch {
			if b := batch[i].buf; b != nil {
				b.Release()
			}
		}
		return true
	}
	w.add(batch, later)
	if !w.now() {
		return false
	}
	clear(w.parts)
	w.parts, w.arena = w.parts[:0], w.arena[:0]
	w.sent()
	return true
}

// now sends what the socket takes without waiting, and reports whether that was all.
func (w *output) now() bool {
	for w.bytes > 0 {
		n, err := w.raw.send(w.parts[:min(len(w.parts), maxParts)])
		w.bytes -= n
		if err != nil || n == 0 {
			break
		}
		if w.bytes > 0 {
			w.skip(n)
		}
	}
	return w.bytes == 0
}

// small reports whether what is queued is little enough for the reader.
func (w *output) small() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	total := 0
	for i := range w.queue {
		total += len(w.queue[i].data)
	}
	return total <= directBytes
}

// skip takes n bytes that were written off the parts.
func (w *output) skip(n int) {
	done := 0
	for n > 0 && n >= len(w.parts[done]) {
		n -= len(w.parts[done])
		done++
	}
	rest := copy(w.parts, w.parts[done:])
	clear(w.parts[rest:])
	w.parts = w.parts[:rest]
	w.parts[0] = w.parts[0][n:]
}
