// SPDX-License-Identifier: Apache-2.0

package link

import (
	"testing"
	"time"
)

func TestNewsWakeWhoWaits(t *testing.T) {
	var n news
	at := time.Unix(1000, 0)
	one, two := n.heard(), n.heard()
	n.tell(at, time.Second)
	<-one
	<-two
	again := n.heard()
	n.tell(at.Add(time.Second/2), time.Second)
	select {
	case <-again:
		t.Fatal("told twice within the pause")
	default:
	}
	n.tell(at.Add(time.Second), time.Second)
	<-again
}
