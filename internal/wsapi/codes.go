// SPDX-License-Identifier: Apache-2.0

package wsapi

import "net/http"

// Code is what a client hears of a failure: the HTTP status, the number that programs
// branch on, and the incumbent's symbol for it. Numbers up to 999 are the incumbent's.
// Those from 1001 on are our own, for symbols whose number was never published.
type Code struct {
	Status int
	Number int
	Symbol string
}

// The codes.
var (
	InternalError  = Code{http.StatusInternalServerError, 1, "INT_SERV_ERR"}
	InputEnds      = Code{http.StatusBadRequest, 3, "INPUT_EOF"}
	InputTooLong   = Code{http.StatusRequestEntityTooLarge, 4, "INPUT_TOO_LONG"}
	BadLogin       = Code{http.StatusForbidden, 5, "INV_USER_PASS"}
	BadSession     = Code{http.StatusForbidden, 6, "INV_SESS_KEY"}
	Timeout        = Code{http.StatusRequestTimeout, 7, "TIMEOUT"}
	Unsupported    = Code{http.StatusNotImplemented, 9, "UNSUP_OP"}
	NoResource     = Code{http.StatusNotFound, 11, "URI_RES_NOT_FOUND"}
	BadInput       = Code{http.StatusBadRequest, 12, "INV_INPUT"}
	Denied         = Code{http.StatusForbidden, 13, "PERM_DENIED"}
	NoCPG          = Code{http.StatusNotFound, 15, "NON_EXISTENT_CPG"}
	HostExists     = Code{http.StatusConflict, 16, "EXISTENT_HOST"}
	NoHost         = Code{http.StatusNotFound, 17, "NON_EXISTENT_HOST"}
	NoVLUN         = Code{http.StatusNotFound, 19, "NON_EXISTENT_VLUN"}
	NoPort         = Code{http.StatusNotFound, 20, "NON_EXISTENT_PORT"}
	VolumeExists   = Code{http.StatusConflict, 22, "EXISTENT_VOL"}
	NoVolume       = Code{http.StatusNotFound, 23, "NON_EXISTENT_VOL"}
	NoSpace        = Code{http.StatusBadRequest, 24, "NO_SPACE"}
	Exported       = Code{http.StatusConflict, 26, "EXPORTED_VLUN"}
	InCopy         = Code{http.StatusBadRequest, 29, "INV_OPERATION_VV_ONLINE_COPY_IN_PROGRESS"}
	TooLarge       = Code{http.StatusBadRequest, 28, "TOO_LARGE"}
	HasChild       = Code{http.StatusConflict, 32, "HAS_CHILD"}
	VolumeInSet    = Code{http.StatusConflict, 34, "VV_IN_VVSET"}
	NoDomain       = Code{http.StatusNotFound, 38, "NON_EXISTENT_DOMAIN"}
	WrongType      = Code{http.StatusBadRequest, 39, "INV_INPUT_WRONG_TYPE"}
	Missing        = Code{http.StatusBadRequest, 40, "INV_INPUT_MISSING_REQUIRED"}
	AboveRange     = Code{http.StatusBadRequest, 43, "INV_INPUT_EXCEEDS_RANGE"}
	ParamConflict  = Code{http.StatusBadRequest, 44, "INV_INPUT_PARAM_CONFLICT"}
	EmptyString    = Code{http.StatusBadRequest, 45, "INV_INPUT_EMPTY_STR"}
	BadEnum        = Code{http.StatusBadRequest, 46, "INV_INPUT_BAD_ENUM_VALUE"}
	BadPort        = Code{http.StatusBadRequest, 55, "INV_INPUT_PORT_SPECIFICATION"}
	TooLong        = Code{http.StatusBadRequest, 57, "INV_INPUT_EXCEEDS_LENGTH"}
	LUNExists      = Code{http.StatusConflict, 59, "EXISTENT_ID"}
	BadJSON        = Code{http.StatusBadRequest, 60, "INV_INPUT_JSON_SYNTAX"}
	IllegalChar    = Code{http.StatusBadRequest, 69, "INV_INPUT_ILLEGAL_CHAR"}
	PathExists     = Code{http.StatusConflict, 73, "EXISTENT_PATH"}
	HostInSet      = Code{http.StatusConflict, 77, "HOST_IN_SET"}
	OneRequired    = Code{http.StatusBadRequest, 78, "INV_INPUT_ONE_REQUIRED"}
	NoPath         = Code{http.StatusNotFound, 80, "NON_EXISTENT_PATH"}
	CopyTarget     = Code{http.StatusConflict, 97, "INV_OPERATION_VLUN_PCOPY_TARGET_VV"}
	NoQoS          = Code{http.StatusNotFound, 100, "NON_EXISTENT_QOS_RULE"}
	SetExists      = Code{http.StatusConflict, 101, "EXISTENT_SET"}
	NoSet          = Code{http.StatusNotFound, 102, "NON_EXISTENT_SET"}
	QoSExists      = Code{http.StatusConflict, 114, "EXISTENT_QOS_RULE"}
	BelowRange     = Code{http.StatusBadRequest, 115, "INV_INPUT_BELOW_RANGE"}
	InRemoteCopy   = Code{http.StatusForbidden, 120, "INV_OPERATION_VV_IN_REMOTE_COPY"}
	NoTask         = Code{http.StatusNotFound, 145, "NON_EXISTENT_TASK"}
	NotGrowable    = Code{http.StatusForbidden, 150, "INV_OPERATION_UNSUPPORTED_VV_TYPE"}
	VolumeBusy     = Code{http.StatusConflict, 151, "INV_OPERATION_VV_IS_BUSY"}
	BadGrowth      = Code{http.StatusBadRequest, 152, "INV_INPUT_VV_GROW_SIZE"}
	GrowthTooLarge = Code{http.StatusForbidden, 153, "VV_NEW_SIZE_EXCEEDS_CPG_LIMIT"}
	NoKey          = Code{http.StatusNotFound, 180, "NON_EXISTENT_OBJECT_KEY"}
	KeyExists      = Code{http.StatusConflict, 181, "EXISTENT_OBJECT_KEY"}
	NoGroup        = Code{http.StatusNotFound, 187, "NON_EXISTENT_RCOPY_GROUP"}
	GroupStarted   = Code{http.StatusForbidden, 215, "RCOPY_GROUP_STARTED"}
	GroupExists    = Code{http.StatusConflict, 237, "EXISTENT_RCOPY_GROUP"}
)

// The incumbent's symbols with numbers of our own, and then symbols of our own.
var (
	TooManyTargets   = Code{http.StatusConflict, 1001, "RCOPY_GROUP_TOO_MANY_TARGETS"}
	TargetTwice      = Code{http.StatusBadRequest, 1002, "RCOPY_GROUP_TARGET_NOT_UNIQUE"}
	NoSuchTarget     = Code{http.StatusForbidden, 1003, "RCOPY_GROUP_INV_TARGET"}
	TargetNotReady   = Code{http.StatusForbidden, 1004, "RCOPY_TARGET_IS_NOT_READY"}
	GroupBusy        = Code{http.StatusForbidden, 1005, "RCOPY_GROUP_IS_BUSY"}
	OnlyOnPrimary    = Code{http.StatusForbidden, 1006, "RCOPY_GROUP_OPERATION_ONLY_ON_PRIMARY_SIDE"}
	NotPeriodic      = Code{http.StatusForbidden, 1008, "RCOPY_GROUP_IS_NOT_PERIODIC"}
	BadPolicy        = Code{http.StatusForbidden, 1009, "RCOPY_GROUP_INV_POLICY_FOR_SYNC_GROUP"}
	WrongTargetCount = Code{http.StatusForbidden, 1010, "RCOPY_GROUP_INV_TARGET_NUMBER"}
	NotOnTarget      = Code{http.StatusNotFound, 1011, "RCOPY_GROUP_NON_EXISTENT_VOL_ON_TARGET"}
	InGroupAlready   = Code{http.StatusConflict, 1012, "RCOPY_GROUP_EXISTENT_VOL"}
	OnTargetAlready  = Code{http.StatusConflict, 1013, "RCOPY_GROUP_EXISTENT_VOL_ON_TARGET"}
	InOtherGroup     = Code{http.StatusForbidden, 1014, "RCOPY_GROUP_VOL_IN_OTHER_GROUP"}
	VolumeReadOnly   = Code{http.StatusForbidden, 1015, "RCOPY_GROUP_VOL_IS_RO"}
	NotInGroup       = Code{http.StatusNotFound, 1016, "RCOPY_GROUP_VOL_NOT_IN_GROUP"}
	GroupEmpty       = Code{http.StatusBadRequest, 1017, "RCOPY_GROUP_EMPTY"}
	RoleConflict     = Code{http.StatusForbidden, 1018, "INV_OPERATION_RCOPY_GROUP_ROLE_CONFLICT"}
	NotStopped       = Code{http.StatusForbidden, 1019, "RCOPY_GROUP_NOT_STOPPED"}
	NotStarted       = Code{http.StatusForbidden, 1020, "RCOPY_GROUP_NOT_STARTED"}
	AddVolumeFailed  = Code{http.StatusForbidden, 1021, "RCOPY_GROUP_ADD_VOL_FAILED"}
	Retained         = Code{http.StatusForbidden, 1022, "RETAINED"}
	MemberTwice      = Code{http.StatusConflict, 1023, "MEMBER_IN_SET"}
	NoMember         = Code{http.StatusNotFound, 1024, "MEMBER_NOT_IN_SET"}
	ReadOnlySnapshot = Code{http.StatusForbidden, 1025, "INV_OPERATION_VV_READONLY_SNAPSHOT"}
	NoCopy           = Code{http.StatusNotFound, 1026, "NON_EXISTENT_VVCOPY"}
	BaseVolume       = Code{http.StatusConflict, 1027, "INV_OPERATION_VV_BASE_VOLUME"}
	BadVolumePolicy  = Code{http.StatusBadRequest, 1028, "INV_INPUT_VV_POLICY"}
	NothingToExport  = Code{http.StatusBadRequest, 1029, "MISSING_VLUN_EXPORT_INFO"}
	InUse            = Code{http.StatusConflict, 1030, "IN_USE"}
	EmptySet         = Code{http.StatusNotFound, 1031, "EMPTY_SET"}
	NotInSync        = Code{http.StatusForbidden, 1032, "RCOPY_GROUP_NOT_SYNCED"}
	NoTarget         = Code{http.StatusNotFound, 1033, "NON_EXISTENT_RCOPY_TARGET"}
	NoLink           = Code{http.StatusNotFound, 1034, "NON_EXISTENT_RCOPY_LINK"}
	NoUser           = Code{http.StatusNotFound, 1035, "NON_EXISTENT_USER"}
	NoRole           = Code{http.StatusNotFound, 1036, "NON_EXISTENT_ROLE"}
	OtherDomain      = Code{http.StatusForbidden, 1037, "INV_OPERATION_NOT_IN_SAME_DOMAIN"}
	CPGOtherDomain   = Code{http.StatusForbidden, 1038, "RCOPY_GROUP_CPG_NOT_IN_SAME_DOMAIN"}
	VVOtherDomain    = Code{http.StatusForbidden, 1039, "RCOPY_GROUP_VOL_NOT_IN_SAME_DOMAIN"}
	DomainExists     = Code{http.StatusConflict, 1040, "EXISTENT_DOMAIN"}
	DomainUsed       = Code{http.StatusConflict, 1041, "DOMAIN_IN_USE"}
	BadPeriodic      = Code{http.StatusForbidden, 1047, "RCOPY_GROUP_INV_POLICY_FOR_PERIODIC_GROUP"}

	Exists        = Code{http.StatusConflict, 1101, "EXISTENT_OBJECT"}
	Conflict      = Code{http.StatusConflict, 1102, "STATE_CONFLICT"}
	TryAgain      = Code{http.StatusServiceUnavailable, 1103, "TRY_AGAIN"}
	NotServedHere = Code{http.StatusServiceUnavailable, 1104, "NOT_SERVED"}
	Aborted       = Code{http.StatusConflict, 1105, "ABORTED"}
	Damaged       = Code{http.StatusInternalServerError, 1106, "DATA_DAMAGED"}
	MayBeDone     = Code{http.StatusInternalServerError, 1107, "OUTCOME_UNKNOWN"}
	Written       = Code{http.StatusForbidden, 1108, "VOLUME_WRITTEN_BEFORE_ADMIT"}
	GroupNotEmpty = Code{http.StatusForbidden, 1109, "RCOPY_GROUP_NOT_EMPTY"}
	SayRemove     = Code{http.StatusForbidden, 1110, "VOLUME_REMOVAL_NOT_CONFIRMED"}
	BadMethod     = Code{http.StatusMethodNotAllowed, 1111, "METHOD_NOT_ALLOWED"}
	NoWitness     = Code{http.StatusNotFound, 1112, "NON_EXISTENT_WITNESS"}
	NotActive     = Code{http.StatusForbidden, 1114, "RCOPY_GROUP_NOT_ACTIVE_ACTIVE"}
	NotConfirmed  = Code{http.StatusForbidden, 1115, "NOT_CONFIRMED"}
	NoAlert       = Code{http.StatusNotFound, 1116, "NON_EXISTENT_ALERT"}
	ManySessions  = Code{http.StatusServiceUnavailable, 1113, "TOO_MANY_SESSIONS"}
)
