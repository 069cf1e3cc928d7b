// SPDX-License-Identifier: Apache-2.0

package rules

// A row says which packages of this module a package may import, beside itself,
// its own subpackages and array, the vocabulary. Tests may import anything.
type row struct {
	pkg  string   // below internal/, or cmd/x, or test; covers its subpackages
	may  []string // below internal/
	core bool     // a stepped core: no clock, no goroutine, no I/O, no logger
	why  string
}

// anything, as the only element of may, allows every package of the module.
const anything = "*"

var table = []row{
	{pkg: "array", why: "the vocabulary: if it knew anybody, everybody would"},

	{pkg: "boottime", why: "the one clock by which commands grow old, on whichever floor"},
	{pkg: "block", why: "buffers are below everything that has bytes"},
	{pkg: "vfs", may: []string{"block"}, why: "the seam at which disks are replaced by crashing ones"},
	{pkg: "store", may: []string{"vfs"}, why: "small durable facts; knows neither volumes nor roles"},
	{pkg: "schedule", why: "when something is due is a function of two times, or it could not be stepped by tests"},
	{pkg: "progress", why: "how far something is, as data; between whoever does it and whoever shows it"},
	{pkg: "people", may: []string{"store"}, why: "who may do what, as a table; knows no commands, so that every face asks the same"},
	{pkg: "event", may: []string{"store"}, why: "what happened and who did what, as data that stays; who reports it decides what it means"},
	{pkg: "qos", why: "what is admitted is a function of what came when, or its limits could not be tested to the command"},
	{pkg: "forward", may: []string{"event"}, why: "brings events to others; what they mean, and who is told of a failure, is the user's"},
	{pkg: "table", why: "what is listed, as data; between the commands and both forms that people and scripts read"},
	{pkg: "pki", why: "keys and certificates; used by whoever speaks over a network"},
	{pkg: "hostkey", why: "the keys of the SSH service, below it and below the commands that change them"},

	{pkg: "arbitration", core: true, why: "who may serve is decided by a pure function of events, or it can't be searched"},
	{pkg: "replication", core: true, why: "order and commit are lengths and handles; a byte or a clock here would end replayable runs"},
	{pkg: "reservation", why: "a value with transitions, replicated as log entries: must be the same on both arrays"},

	{pkg: "journal", may: []string{"block", "vfs"}, why: "appends placed records; knows no roles and not who reads them"},
	{pkg: "volume", may: []string{"block", "vfs", "store", "journal"}, why: "applies the journal's records; knows no roles"},
	{pkg: "link", may: []string{"block", "pki"}, why: "carries frames; what they mean is the user's"},
	{pkg: "witness", may: []string{"pki", "vfs"}, why: "a register that decides nothing must not know what is decided"},

	{pkg: "scsi", may: []string{"block", "boottime", "reservation"}, why: "declares the unit it needs; an unmirrored disk looks the same to it"},
	{pkg: "iscsi", may: []string{"block", "boottime", "reservation", "scsi", "pki"}, why: "transport of commands; must work over any unit"},

	{
		pkg: "group",
		may: []string{"block", "vfs", "store", "event", "arbitration", "replication", "reservation", "journal", "volume", "scsi", "progress"},
		why: "the one shell that steps both cores and carries out their effects; declares what it needs of the other array and the witness",
	},
	{
		pkg: "far",
		may: []string{"link", "block", "progress"},
		why: "a copy outside the pair needs requests and pages: who serves, and what a volume is, are its user's",
	},
	{
		pkg: "pair",
		may: []string{"block", "store", "event", "pki", "arbitration", "journal", "link", "witness", "group"},
		why: "what two arrays share beside groups: leases, the witness's client, the way of the groups' packets over the link",
	},
	{
		pkg: "node",
		may: []string{
			"block", "boottime", "vfs", "store", "event", "pki", "arbitration", "replication", "reservation", "journal", "volume",
			"link", "witness", "scsi", "iscsi", "group", "pair", "far", "schedule", "progress", "people", "table", "qos", "forward", "takeover", "priority", "settings", "hostkey",
		},
		why: "configuration, commands and composition; below the faces, so that each face is thin",
	},

	{pkg: "priority", why: "what the machine gives a daemon; nothing goes by it"},
	{pkg: "settings", why: "which keys a file may have follows from what it is read into, for whichever daemon"},
	{pkg: "takeover", why: "keeps addresses on devices; what it goes by are facts that it is given, and nothing about who may serve goes by it"},

	{pkg: "matrix", why: "the expectations of the failure matrix: if it knew the product, they could be bent to it"},

	{pkg: "wsapi", may: []string{"node", "event", "people", "pki", "progress", "table", "qos"}, why: "a face: translates, decides nothing"},
	{pkg: "cli", may: []string{"node", "event", "pki", "progress", "table"}, why: "a face: translates, decides nothing; but init makes keys, before there is a daemon to ask"},
	{pkg: "sshd", may: []string{"cli", "hostkey", "people", "table"}, why: "a face: the command line over SSH"},
	{pkg: "console", may: []string{"node", "event", "wsapi"}, why: "a face: speaks the REST interface only"},

	{pkg: "lab", why: "networks and processes for tests; what runs in them is the test's business"},
	{pkg: "model", may: []string{"arbitration", "replication"}, why: "searches the shipped cores, not a copy of them"},
	{
		pkg: "sim",
		may: []string{
			"block", "vfs", "store", "event", "arbitration", "replication", "reservation", "journal", "volume", "link", "witness",
			"scsi", "group", "pair",
		},
		why: "runs the shipped code under a seeded schedule",
	},
	{pkg: "host", may: []string{"iscsi"}, why: "a host knows arrays by their wire only"},
	{pkg: "rig", may: []string{"cli", "host", "iscsi", "lab", "wsapi"}, why: "real processes, reached as anybody reaches them"},
	{pkg: "demo", may: []string{"host", "lab", "rig"}, why: "shows; decides nothing"},
	{pkg: "rules", why: "tests only"},

	{pkg: "cmd", may: []string{anything}, why: "commands compose"},
	{pkg: "test", may: []string{anything}, why: "tests of the whole"},
}

// heavy lists the modules that only some packages may import: each one in a
// binary that has no use for it is weight and attack surface.
var heavy = []struct {
	module string
	may    []string
	why    string
}{
	{"go.etcd.io/etcd", []string{"cmd/perdure-witness", "witness/etcd"}, "12 MB and 170 packages, for one of the witness's stores"},
	{"google.golang.org/grpc", []string{"cmd/perdure-csi", "csi"}, "the container storage interface asks for it, nothing else does"},
	{"go.etcd.io/bbolt", []string{"store", "volume", "witness"}, "metadata live behind these three"},
	{"github.com/alecthomas/kong", []string{"cmd"}, "command lines of our own commands"},
	{"github.com/robfig/cron", []string{"schedule"}, "its parser only; its goroutines and clock have no place here"},
	{"golang.org/x/crypto", []string{"hostkey", "people", "sshd"}, "password hashes and SSH keys; who else thinks of writing cryptography should not"},
	{"golang.org/x/term", []string{"cmd", "sshd"}, "for people who type: editing a line, and passwords that nobody sees"},
	{"github.com/gosnmp/gosnmp", []string{"forward"}, "events go out as SNMP traps by it; nothing here is managed by SNMP"},
	{"github.com/BurntSushi/toml", []string{"cmd", "node"}, "configuration files are read at the top"},
}

// coreBans is what a stepped core may not import, and what it is instead.
var coreBans = map[string]string{
	"net": "talks to nobody", "os": "knows no machine", "log": "has no logger", "log/slog": "has no logger",
	"sync": "is stepped by one goroutine", "sync/atomic": "is stepped by one goroutine", "context": "never waits",
	"math/rand": "is deterministic", "math/rand/v2": "is deterministic", "crypto/rand": "is deterministic", "io/fs": "knows no disk",
	"net/http": "talks to nobody", "os/signal": "knows no machine", "syscall": "knows no machine", "unsafe": "is plain",
}
