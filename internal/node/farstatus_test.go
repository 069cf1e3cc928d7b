// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestStatusWhileARelationEnds: status is asked while a group's relation to its source ends
// (dismissrcopytarget -keepvv at the source). It takes no lock.
func TestStatusWhileARelationEnds(t *testing.T) {
	t.Parallel()
	_, _, c := copiedGroup(t)
	id := c.farGroup("g.r1").ID
	rec := c.farGroup("g.r1")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	bad := make(chan string, 100)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				func() {
					defer func() {
						if r := recover(); r != nil {
							select {
							case bad <- fmt.Sprint(r):
							default:
							}
						}
					}()
					_, _ = c.Run(t.Context(), []string{"status"})
				}()
			}
		})
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end) && len(bad) == 0; {
		c.publish(id, func(r *running) { r.rec.Far = nil }) // as apply after forgetFar
		time.Sleep(50 * time.Microsecond)
		c.publish(id, func(r *running) { r.rec = rec })
		time.Sleep(50 * time.Microsecond)
	}
	close(stop)
	wg.Wait()
	select {
	case what := <-bad:
		t.Errorf("status panics: %s", what)
	default:
	}
}
