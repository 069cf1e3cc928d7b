// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func taskRoutes() []route {
	return []route{
		{method: "GET", path: "/tasks", right: people.Look, about: "long commands of this array, those that are over too", out: collection[task]{}, query: filtered, do: getTasks},
		{method: "GET", path: "/tasks/{task}", right: people.Look, about: "one of them; wait: for so many seconds, if it has not ended before", out: task{}, query: []string{"wait"}, do: getTask},
		{method: "PUT", path: "/tasks/{task}", right: people.Maintain, about: "action 1 cancels it", in: taskAction{}, do: putTask},
	}
}

// taskStarted is what an action answers that goes on by itself; All are its tasks, if there can
// be several.
type taskStarted struct {
	ID  uint64   `json:"taskid"`
	All []uint64 `json:"taskids,omitempty"`
}

// copyTasks are this array's tasks of volumes that join or leave groups: of one volume, or of
// those of set:name.
func (c *call) copyTasks(volume string) (all []uint64) {
	names := []string{volume}
	if set, is := strings.CutPrefix(volume, "set:"); is {
		names = nil
		sets, _ := c.array().VolumeSets() // that it can't be read is said by the command
		for _, s := range sets {
			if s.Name == set {
				names = s.Members
			}
		}
	}
	for _, f := range c.array().Tasks() {
		if (f.Kind == "remote_copy_admit" || f.Kind == "remote_copy_dismiss") && slices.Contains(names, f.Name) {
			all = append(all, f.ID)
		}
	}
	slices.Sort(all)
	return all
}

// goesOn adds to an answer the tasks that have come since.
func (c *call) goesOn(a answer, was []uint64, volume string) answer {
	all := slices.DeleteFunc(c.copyTasks(volume), func(id uint64) bool { return slices.Contains(was, id) })
	if len(all) > 0 {
		a.body = taskStarted{ID: all[0], All: all}
	}
	return a
}

type task struct {
	ID              uint64 `json:"id"`
	Type            int    `json:"type"`
	Name            string `json:"name"`
	Status          int    `json:"status"`
	CompletedPhases int    `json:"completedPhases"`
	TotalPhases     int    `json:"totalPhases"`
	CompletedSteps  int    `json:"completedSteps"`
	TotalSteps      int    `json:"totalSteps"`
	StartTime       string `json:"startTime"`
	FinishTime      string `json:"finishTime"`
	DetailedStatus  string `json:"detailedStatus"`
	// Kind is the type in words, Percent how far it is.
	Kind    string  `json:"kind"`
	Percent float64 `json:"percent"`
	// User asked for it; SecondsLeft at this rate, 0 if not known.
	User           string `json:"user"`
	BytesPerSecond int64  `json:"bytesPerSecond"`
	SecondsLeft    int64  `json:"secondsLeft"`
}

// taskType is the incumbent's number for a kind of task.
func taskType(kind string) int {
	switch kind {
	case "vv_copy":
		return 1
	case "promote_sv":
		return 4
	case "remote_copy_sync", "remote_copy_admit":
		return 5
	case "check_vv":
		return 13
	}
	return 16 // in the background
}

func taskOf(f node.TaskFact) task {
	_, began := stamps(f.Began)
	_, finished := stamps(f.Finished)
	if finished == "" {
		finished = "-"
	}
	t := task{
		ID: f.ID, Type: taskType(f.Kind), Name: f.Name, CompletedPhases: f.Phase - 1, TotalPhases: f.Phases, CompletedSteps: int(f.Percent), TotalSteps: 100, StartTime: began, FinishTime: finished,
		DetailedStatus: f.Text, Kind: f.Kind, Percent: f.Percent, User: f.User, BytesPerSecond: int64(f.Rate), SecondsLeft: int64(f.Left.Round(time.Second) / time.Second),
	}
	switch f.Status {
	case node.TaskDone:
		t.Status, t.CompletedPhases = 1, f.Phases
	case node.TaskActive:
		t.Status = 2
	case node.TaskCancelled:
		t.Status = 3
	case node.TaskFailed:
		t.Status = 4
	}
	return t
}

func getTasks(c *call) (answer, error) {
	all := []task{}
	for _, f := range c.array().Tasks() {
		all = append(all, taskOf(f))
	}
	return collect(c, all)
}

// taskID is the number in the path.
func (c *call) taskID() (uint64, error) {
	id, err := strconv.ParseInt(c.r.PathValue("task"), 10, 64)
	if err != nil {
		return 0, fail(wsapi.WrongType, "", "a task is a number")
	}
	return uint64(id), between("task", id, 1, 1<<53)
}

func getTask(c *call) (answer, error) {
	id, err := c.taskID()
	if err != nil {
		return answer{}, err
	}
	wait, err := c.seconds("wait", maxTaskWait)
	if err != nil {
		return answer{}, err
	}
	ctx, stop := context.WithTimeout(c.r.Context(), wait)
	defer stop()
	f, err := c.array().WaitTask(ctx, id)
	if err != nil {
		return answer{}, err
	}
	return ok(taskOf(f))
}

// maxTaskWait bounds how long a client may wait for a task with one request.
const maxTaskWait = 60 * time.Second

// seconds is a time in the query string, 0 if it is not there.
func (c *call) seconds(name string, most time.Duration) (time.Duration, error) {
	text := c.r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	s, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fail(wsapi.WrongType, name, "%s is %.40q: want a number of seconds", name, text)
	}
	return time.Duration(s) * time.Second, between(name, s, 0, int64(most/time.Second))
}

type taskAction struct {
	Action int `json:"action"`
}

const cancelTask = 1

func putTask(c *call) (answer, error) {
	id, err := c.taskID()
	if err != nil {
		return answer{}, err
	}
	var in taskAction
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Action == 0 {
		return answer{}, fail(wsapi.Missing, "action", "action is missing")
	}
	if in.Action != cancelTask {
		return answer{}, fail(wsapi.BadEnum, "action", "action %d: want 1, to cancel it", in.Action)
	}
	if err := c.run("canceltask", "-f", strconv.FormatUint(id, 10)); err != nil {
		return answer{}, err
	}
	return done(base + "/tasks/" + strconv.FormatUint(id, 10))
}
