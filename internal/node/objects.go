// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"slices"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// VV is a virtual volume.
type VV struct {
	ID    array.VolumeID `json:"id"`
	Name  string         `json:"name"`
	Size  int64          `json:"size"`
	CPG   string         `json:"cpg"`
	Group array.GroupID  `json:"group"`
	// Provisioning and Compress say how its pages are stored.
	Provisioning volume.Provisioning `json:"provisioning,omitempty"`
	Compress     bool                `json:"compress,omitempty"`
	// Of is the volume that it is a read-only snapshot of, Base the snapshot that it was
	// made from.
	Of   array.VolumeID `json:"of,omitempty"`
	Base array.VolumeID `json:"base,omitempty"`
	// Point is the tag of the far copy's point that a snapshot belongs to.
	Point uint64 `json:"point,omitempty"`
	// Made is when a snapshot was asked for. From Expires on it is removed, before
	// Retain it can't be; zero for neither.
	Made    time.Time `json:"made,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Retain  time.Time `json:"retain,omitzero"`
	// Taking is what the volume is being made a copy of. It is neither the one nor the
	// other until that is done, and can't be exported.
	Taking array.VolumeID `json:"taking,omitempty"`
	// AllocWarn and AllocLimit are percentages of Size: what pages of the volume itself may
	// take before people and hosts are told, and before writes are refused; 0 for neither.
	AllocWarn  int `json:"alloc_warn,omitempty"`
	AllocLimit int `json:"alloc_limit,omitempty"`
	// Copy is the physical copy that the volume becomes, or could not become.
	Copy Copying `json:"copy,omitzero"`
	// Joins is set while the volume is filled to take the place of one of an array's own. It
	// is nobody's until then. Joined is whose place it took, Shows the one of which hosts
	// know it by its WWN: the volume itself, if that is 0.
	Joins  *Joining       `json:"joins,omitempty"`
	Joined array.VolumeID `json:"joined,omitempty"`
	Shows  array.VolumeID `json:"shows,omitempty"`
	// Stays is set while the volume is filled to take the place of one that leaves its group.
	// Leaves: hosts see that one no more, but on the array that has the other.
	Stays  *Staying `json:"stays,omitempty"`
	Leaves bool     `json:"leaves,omitempty"`
	// Comment, Keys and Sets are people's: what they wrote of it, and the volume sets that
	// it is in.
	Comment string            `json:"comment,omitempty"`
	Keys    map[string]string `json:"keys,omitempty"`
	Sets    []string          `json:"sets,omitempty"`
}

// identity is the volume by whose WWN hosts know this one.
func (v VV) identity() array.VolumeID { return cmp.Or(v.Shows, v.ID) }

// WWN is the one that people and hosts see. While the volume that it is to replace has that
// still, this one has another.
func (v VV) WWN() array.WWN {
	if v.Joins != nil || v.Stays != nil {
		return array.MakeWWN(v.ID)
	}
	return array.MakeWWN(v.identity())
}

// needs are the volumes that can't be removed while this one is there, as keys.
func (v VV) needs() (keys []string) {
	for _, id := range []array.VolumeID{v.Of, v.Base, v.Taking, v.joins()} {
		if key := store.Key(uint64(id)); id != 0 && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Why a volume is looked at every few seconds.
const (
	watchCopy   = "copy"
	watchAlloc  = "allocation"
	watchExpiry = "expiry"
	// What takes a snapshot's content may have been left half done.
	watchTaking = "taking"
	// A snapshot may lack on this array.
	watchSnapshot = "snapshot"
)

func (v VV) watched() (why []string) {
	if v.Copy.underWay() || v.Joins != nil || v.Stays != nil || v.Leaves {
		why = append(why, watchCopy)
	}
	if v.Taking != 0 {
		why = append(why, watchTaking)
	}
	if v.AllocWarn+v.AllocLimit > 0 {
		why = append(why, watchAlloc)
	}
	if !v.Expires.IsZero() {
		why = append(why, watchExpiry)
	}
	if v.Of != 0 {
		why = append(why, watchSnapshot)
	}
	return why
}

// RCGroup is a Remote Copy group, or the private group of an un-mirrored volume.
type RCGroup struct {
	ID   array.GroupID `json:"id"`
	Name string        `json:"name"`
	// Home is the natural primary.
	Home     array.SystemID `json:"home"`
	Private  bool           `json:"private"`
	Policies Policies       `json:"policies"`
	// Period, in seconds, makes it periodic; 0: it is synchronous.
	Period int64 `json:"period,omitempty"`
	// Stopped: a person stopped it; the other array is not taken back by itself.
	Stopped bool `json:"stopped"`
	// Version grows with every change of the description; Change is drawn at random
	// with each. Epoch and Term are those in which the array that served made or told
	// it: they come first when two descriptions are compared.
	Version uint64      `json:"version"`
	Change  uint64      `json:"change,omitempty"`
	Epoch   array.Epoch `json:"epoch,omitempty"`
	Term    array.Term  `json:"term,omitempty"`
	// Founding is the first membership record, equal on both arrays.
	Founding uint64     `json:"founding"`
	Founder  array.Side `json:"founder"`
	// Replaces is the group without volumes whose place it took, with its name.
	Replaces array.GroupID `json:"replaces,omitempty"`
	// Gone are the volumes taken out last, GoneSnaps the snapshots, of which there are many
	// more: the log may still speak of them.
	Gone      []array.VolumeID `json:"gone,omitempty"`
	GoneSnaps []array.VolumeID `json:"gone_snaps,omitempty"`
	// Near says which array's paths hosts prefer while both serve.
	Near []Nearness `json:"near,omitempty"`
	// Far are copies outside the pair, or what this group is a copy of.
	Far []Far `json:"far,omitempty"`
}

// withContentOf returns a description after g that says what o did.
func (g RCGroup) withContentOf(o RCGroup) RCGroup {
	o.Version, o.Change, o.Epoch, o.Term = g.Version+1, nonce(), g.Epoch, g.Term
	return o
}

// newerThan reports whether g is of a later description than o.
func (g RCGroup) newerThan(o RCGroup) bool { return g.edition().after(o.edition()) }

// edition is which of a group's descriptions one is.
type edition struct {
	Epoch   array.Epoch `json:"epoch,omitempty"`
	Term    array.Term  `json:"term,omitempty"`
	Version uint64      `json:"version"`
}

func (g RCGroup) edition() edition { return edition{g.Epoch, g.Term, g.Version} }

func (e edition) after(o edition) bool {
	return cmp.Or(cmp.Compare(e.Epoch, o.Epoch), cmp.Compare(e.Term, o.Term), cmp.Compare(e.Version, o.Version)) > 0
}

// changed returns g as a change makes it on the array that serves it there.
func (g RCGroup) changed(served array.Position) RCGroup {
	g.Version, g.Change = g.Version+1, nonce()
	return g.servedAt(served)
}

// servedAt returns g with the epoch and the term in which it is served. A group that a volume in
// use founded anew goes on with that one's log, whose terms may be lower: the other array would
// take what is said then for older than what it has, so they never fall.
func (g RCGroup) servedAt(served array.Position) RCGroup {
	if was := (array.Position{Epoch: g.Epoch, Term: g.Term}); served.Compare(was) > 0 {
		g.Epoch, g.Term = served.Epoch, served.Term
	}
	return g
}

// maxGone bounds RCGroup.Gone and GoneSnaps: the log speaks of what went long ago no more.
const maxGone = 1024

// without returns g after v was taken out.
func (g RCGroup) without(v VV) RCGroup {
	list := &g.Gone
	if v.Of != 0 {
		list = &g.GoneSnaps
	}
	gone := append(slices.Clone(*list), v.ID)
	*list = gone[max(0, len(gone)-maxGone):]
	return g
}

// allGone are the volumes and snapshots taken out last.
func (g RCGroup) allGone() []array.VolumeID { return slices.Concat(g.Gone, g.GoneSnaps) }

// Policies are what the group does by itself.
type Policies struct {
	AutoFailover    bool `json:"auto_failover"`
	PathManagement  bool `json:"path_management"`
	AutoRecover     bool `json:"auto_recover"`
	AutoSynchronize bool `json:"auto_synchronize"`
	// ActiveActive: both arrays serve the group; it holds the first two.
	ActiveActive bool `json:"active_active,omitempty"`
	// PermanentLoss, with ActiveActive: an array that has lost the group tells its hosts
	// that the volumes are gone for good there.
	PermanentLoss bool `json:"permanent_loss,omitempty"`
	// FollowWrites, with ActiveActive: the group is owned by the array through which its
	// writes come.
	FollowWrites bool `json:"follow_writes,omitempty"`
	// OverPeriodAlert, of a periodic group: it is told when the period is not kept.
	OverPeriodAlert bool `json:"over_period_alert,omitempty"`
	// Prefer is the array that goes on where either could; 0: the one that serves.
	Prefer array.SystemID `json:"prefer,omitempty"`
}

// Host is a host and its iSCSI names.
type Host struct {
	Name       string   `json:"name"`
	Persona    int      `json:"persona"`
	Initiators []string `json:"initiators"`
	CHAPUser   string   `json:"chap_user,omitempty"`
	CHAPSecret string   `json:"chap_secret,omitempty"`
	// Descriptors are what people wrote of it.
	Descriptors map[string]string `json:"descriptors,omitempty"`
}

// HostSet is a set of hosts that see the same.
type HostSet struct {
	Name    string   `json:"name"`
	Hosts   []string `json:"hosts"`
	Comment string   `json:"comment,omitempty"`
}

// VVSet is a set of volumes. Which they are, the volumes say. Both arrays have it; of two
// that differ the one with the larger Version, and then Change, counts.
type VVSet struct {
	Name    string `json:"name"`
	Comment string `json:"comment,omitempty"`
	Version uint64 `json:"version,omitempty"`
	Change  uint64 `json:"change,omitempty"`
	// Removed is kept for the other array, which may not have heard of it.
	Removed bool `json:"removed,omitempty"`
	// QoS limits what hosts may do to the volumes; nil: nothing does.
	QoS *QoSRule `json:"qos,omitempty"`
}

// VLUN exports a volume to a host or, as set:name, a host set.
type VLUN struct {
	LUN    uint16         `json:"lun"`
	Volume array.VolumeID `json:"volume"`
	Host   string         `json:"host"`
}

// Schedule is a command that is carried out again and again, by the array that serves the
// group of the volumes it names.
type Schedule struct {
	Name  string        `json:"name"`
	Group array.GroupID `json:"group"`
	// Command is createsv or creategroupsv with its words, Times when, as cron has it.
	Command   []string `json:"command"`
	Times     string   `json:"times"`
	Suspended bool     `json:"suspended,omitempty"`
	// Last is when it was last carried out, made, or resumed, by the clock of the array
	// that did.
	Last time.Time `json:"last"`
	Runs uint64    `json:"runs,omitempty"`
}

// small is one of a group's small durable facts.
type small struct {
	Value []byte `json:"value"`
}

// The indices of volumes, and of VLUNs.
const (
	byGroup = iota
	byName
	// byNeed: what depends on a volume or snapshot.
	byNeed
	// byWatch: what is looked at every few seconds, by why.
	byWatch
)

// Those of VLUNs and of groups.
const (
	byVolume    = 0
	byGroupName = 0
)

// tables are the store's buckets.
var tables = struct {
	vvs    store.Indexed[VV]
	groups store.Indexed[RCGroup]
	hosts  store.Bucket[Host]
	sets   store.Bucket[HostSet]
	vluns  store.Indexed[VLUN]
	facts  store.Bucket[small]
	count  store.Bucket[uint64]
	// remains are of groups whose removal is not finished.
	remains store.Bucket[remains]
	// undropped are groups that could not be made here, and that the other array may have.
	undropped store.Bucket[struct{}]
	scrubs    store.Bucket[scrubbed]
	scheds    store.Bucket[Schedule]
	limits    store.Bucket[cpgLimits]
	vvsets    store.Bucket[VVSet]
	// untold are changes of hosts, by name, that the other array has not heard of.
	untold store.Bucket[hostChange]
	// relation is the target, and the witness, that commands made.
	relation store.Bucket[joined]
	// drills are of this array, by group.
	drills store.Bucket[drillOf]
	tasks  store.Bucket[keptTask]
	// placings say what is in which domain.
	domains    store.Bucket[Domain]
	domainsets store.Bucket[DomainSet]
	placings   store.Bucket[placing]
	// fars are the targets outside the pair.
	fars store.Bucket[Target]
	// pledges are commands of several steps that are under way.
	pledges store.Bucket[pledge]
}{
	store.Indexed[VV]{Bucket: store.Bucket[VV]{Name: "vvs"}, By: []store.Index[VV]{
		byGroup: {Name: "vvs by group", Of: func(v VV) []string { return []string{store.Key(uint64(v.Group))} }},
		byName:  {Name: "vvs by name", Of: func(v VV) []string { return []string{v.Name} }},
		byNeed:  {Name: "vvs by need", Of: VV.needs},
		byWatch: {Name: "vvs by watch", Of: VV.watched},
	}},
	store.Indexed[RCGroup]{Bucket: store.Bucket[RCGroup]{Name: "groups"}, By: []store.Index[RCGroup]{
		byGroupName: {Name: "groups by name", Of: func(g RCGroup) []string { return []string{g.Name} }},
	}},
	store.Bucket[Host]{Name: "hosts"},
	store.Bucket[HostSet]{Name: "hostsets"},
	store.Indexed[VLUN]{Bucket: store.Bucket[VLUN]{Name: "vluns"}, By: []store.Index[VLUN]{
		byVolume: {Name: "vluns by volume", Of: func(l VLUN) []string { return []string{store.Key(uint64(l.Volume))} }},
	}},
	store.Bucket[small]{Name: "facts"},
	store.Bucket[uint64]{Name: "counters"},
	store.Bucket[remains]{Name: "remains"},
	store.Bucket[struct{}]{Name: "undropped"},
	store.Bucket[scrubbed]{Name: "scrubs"},
	store.Bucket[Schedule]{Name: "schedules"},
	store.Bucket[cpgLimits]{Name: "cpglimits"},
	store.Bucket[VVSet]{Name: "vvsets"},
	store.Bucket[hostChange]{Name: "untold"},
	store.Bucket[joined]{Name: "relation"},
	store.Bucket[drillOf]{Name: "drills"},
	store.Bucket[keptTask]{Name: "tasks"},
	store.Bucket[Domain]{Name: "domains"},
	store.Bucket[DomainSet]{Name: "domainsets"},
	store.Bucket[placing]{Name: "placings"},
	store.Bucket[Target]{Name: "fars"},
	store.Bucket[pledge]{Name: "pledges"},
}

// keep is a group's small facts in the store.
type keep struct{ s *store.Store }

func factKey(g array.GroupID, name string) string { return g.String() + "/" + name }

func (k keep) Put(g array.GroupID, name string, value []byte) error {
	it, err := tables.facts.Item(factKey(g, name), small{value})
	if err != nil {
		return err
	}
	return k.s.Batch(it)
}

func (k keep) Get(g array.GroupID, name string) (value []byte, err error) {
	err = k.s.View(func(t *store.Tx) error {
		v, ok, err := tables.facts.Get(t, factKey(g, name))
		if ok {
			value = v.Value
		}
		return err
	})
	return value, err
}

// Drop forgets a fact.
func (k keep) Drop(g array.GroupID, name string) error {
	return k.s.Batch(tables.facts.Removal(factKey(g, name)))
}

// putFirst stores a group with its first membership record.
func putFirst(t *store.Tx, g RCGroup) error {
	record := arb.Stored{Current: arb.First(g.Founder, g.Founding)}.Marshal()
	if err := tables.facts.Put(t, factKey(g.ID, "membership"), small{record}); err != nil {
		return err
	}
	return groupsPut(t, g)
}

func groupsPut(t *store.Tx, g RCGroup) error { return tables.groups.Put(t, store.Key(uint64(g.ID)), g) }
