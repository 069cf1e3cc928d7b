// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"errors"

	"github.com/perdure/perdure/internal/array"
)

// Failure is an error with a code of its own, for what only this face can find wrong.
// Ref names the member or part of the request that it is about.
type Failure struct {
	Code Code
	Text string
	Ref  string
}

func (f *Failure) Error() string { return f.Text }

// kindCodes is the one place where an error's kind becomes a code. Its text is the same
// on every face.
var kindCodes = map[array.Kind]Code{
	array.Internal:    InternalError,
	array.Invalid:     BadInput,
	array.NotFound:    NoResource,
	array.Exists:      Exists,
	array.Conflict:    Conflict,
	array.Denied:      Denied,
	array.Full:        NoSpace,
	array.Busy:        TryAgain,
	array.Standby:     NotServedHere,
	array.Unavailable: NotServedHere,
	array.Miscompare:  Conflict,
	array.Reserved:    Conflict,
	array.Aborted:     Aborted,
	array.Medium:      Damaged,
	array.Moved:       TryAgain,
	array.Range:       AboveRange,
	array.Unknown:     MayBeDone,
}

// reasonCodes says it more closely, where the incumbent does.
var reasonCodes = map[array.Reason]Code{
	array.NoVolume:        NoVolume,
	array.NoCPG:           NoCPG,
	array.NoHost:          NoHost,
	array.NoHostSet:       NoSet,
	array.NoVolumeSet:     NoSet,
	array.NoVLUN:          NoVLUN,
	array.NoGroup:         NoGroup,
	array.NoTarget:        NoSuchTarget,
	array.NoInitiator:     NoPath,
	array.NoMember:        NoMember,
	array.NoKey:           NoKey,
	array.NoTask:          NoTask,
	array.NoAlert:         NoAlert,
	array.NoCopy:          NoCopy,
	array.VolumeExists:    VolumeExists,
	array.HostExists:      HostExists,
	array.SetExists:       SetExists,
	array.LUNTaken:        LUNExists,
	array.GroupExists:     GroupExists,
	array.InitiatorTaken:  PathExists,
	array.MemberTwice:     MemberTwice,
	array.KeyExists:       KeyExists,
	array.VolumeOnTarget:  OnTargetAlready,
	array.Exported:        Exported,
	array.InSet:           VolumeInSet,
	array.HasSnapshots:    HasChild,
	array.Retained:        Retained,
	array.Copied:          VolumeBusy,
	array.InGroup:         InRemoteCopy,
	array.InOtherGroup:    InOtherGroup,
	array.NotInGroup:      NotInGroup,
	array.NotEmpty:        GroupNotEmpty,
	array.Written:         Written,
	array.IsSnapshot:      ReadOnlySnapshot,
	array.NotSnapshot:     BaseVolume,
	array.Scheduled:       InUse,
	array.TooLarge:        TooLarge,
	array.TargetSilent:    TargetNotReady,
	array.Served:          RoleConflict,
	array.ServedElsewhere: OnlyOnPrimary,
	array.NotServed:       NotServedHere,
	array.NotSynced:       NotInSync,
	array.AtHome:          RoleConflict,
	array.NoMode:          BadEnum,
	array.NotActive:       NotActive,
	array.NoQoS:           NoQoS,
	array.QoSExists:       QoSExists,
	array.Unconfirmed:     NotConfirmed,
	array.NotPeriodic:     NotPeriodic,
	array.NotSynchronous:  BadPeriodic,
	array.TooShort:        BelowRange,
	array.TooLong:         AboveRange,
	array.NoDomain:        NoDomain,
	array.NoDomainSet:     NoSet,
	array.DomainExists:    DomainExists,
	array.DomainUsed:      DomainUsed,
	array.OtherDomain:     OtherDomain,
	array.CopyTarget:      VolumeBusy,
	array.ManySessions:    ManySessions,
}

// CodeOf returns what a client hears of an error.
func CodeOf(err error) Code {
	var f *Failure
	if errors.As(err, &f) {
		return f.Code
	}
	if c, ok := reasonCodes[array.ReasonOf(err)]; ok {
		return c
	}
	if c, ok := kindCodes[array.KindOf(err)]; ok {
		return c
	}
	return InternalError
}
