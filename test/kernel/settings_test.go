// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"strings"
	"time"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/matrix"
)

// A settings is a way to set up a Linux host's initiator and paths.
type settings struct {
	name   string
	script string // run as root in the host before its daemons start
	// notices is how long the initiator waits for an answer of a silent array until it ends
	// the session, holds how long it keeps an ended session's commands, trying to log in
	// again, until another path may have them.
	notices, holds time.Duration
	// slack is what a host takes by itself, on cores that are shared.
	slack time.Duration
}

// slack is that of a User Mode Linux.
const slack = 500 * time.Millisecond

// emulated is that of a machine whose every instruction is emulated.
const emulated = 2 * time.Second

// limit returns the longest that a host may pause in a row. Most of it may be the host's own
// waiting: its timers are longer than an array's failover, because a command must not be
// sent on another path before the first array can't carry it out any more.
func (s settings) limit(r matrix.Row) time.Duration {
	switch r.Paths {
	case matrix.Break:
		return r.Pause + s.holds + s.slack
	case matrix.Silent:
		return r.Pause + s.notices + s.holds + s.slack
	}
	return r.Pause + s.slack
}

// recommended is what `perdure hosts recipe linux` prints. In a host of the lab no
// systemd is there to restart anything: it is told to write below a root, which is /.
func recommended() (settings, error) {
	text, err := cli.Recipe("linux")
	return settings{name: "recommended", script: "export ROOT=/\n" + text, notices: 3 * time.Second, holds: 3 * time.Second, slack: slack}, err
}

// incumbents is how a host is set up for the arrays that these succeed: dm-multipath's
// built-in entry for them, and the timers of their guide for Linux hosts.
func incumbents() settings {
	return settings{name: "incumbent's", notices: 10 * time.Second, holds: 10 * time.Second, slack: slack, script: strings.ReplaceAll(`
mkdir -p /etc/multipath/conf.d
cat >/etc/multipath/conf.d/array.conf <<'END'
defaults {
	polling_interval 10
	find_multipaths yes
}
devices {
	device {
		vendor "PERDURE"
		product "VV"
		path_grouping_policy group_by_prio
		path_selector "round-robin 0"
		rr_min_io_rq 1
		prio alua
		hardware_handler "1 alua"
		path_checker tur
		failback immediate
		no_path_retry 18
		fast_io_fail_tmo 10
		dev_loss_tmo infinity
	}
}
END
set_iscsid() { sed -i "s|^[# ]*$1 *=.*|$1 = $2|" /etc/iscsi/iscsid.conf; }
set_iscsid 'node.startup' automatic
set_iscsid 'node.session.timeo.replacement_timeout' 10
set_iscsid 'node.conn\[0\].timeo.noop_out_interval' 5
set_iscsid 'node.conn\[0\].timeo.noop_out_timeout' 5
`, "\t", "  ")}
}
