// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// A task is a long command: what can be wrong with it at once is told at once, then it goes
// on, and whoever asked for it need not wait. Tasks are kept over restarts, those that are
// over as history. Those that nobody waited for go on: a physical copy, whose state is in its
// volume, by itself; another command is given again, for all of them may be.

const (
	// maxTasks bounds the tasks under way that go on by themselves, keptTasks all that are
	// remembered.
	maxTasks  = 32
	keptTasks = 256
)

// TaskStatus is how a task stands.
type TaskStatus string

// The stati.
const (
	TaskActive    TaskStatus = "active"
	TaskDone      TaskStatus = "done"
	TaskFailed    TaskStatus = "failed"
	TaskCancelled TaskStatus = "cancelled"
)

// TaskFact is a task.
type TaskFact struct {
	ID uint64 `json:"id"`
	// Kind is the incumbent's word for what it does, Name what it does it to, User who
	// asked for it.
	Kind   string     `json:"kind"`
	Name   string     `json:"name"`
	User   string     `json:"user"`
	Status TaskStatus `json:"status"`
	// Domain is that of what it is about, empty for none.
	Domain string `json:"domain,omitempty"`
	// Phase is which of its Phases it is in, from 1 on.
	Phase   int     `json:"phase"`
	Phases  int     `json:"phases"`
	Percent float64 `json:"percent"`
	// Rate is in bytes a second, Left how long it takes at this rate, 0 if not known.
	Rate float64       `json:"rate"`
	Left time.Duration `json:"left"`
	// Text is how far it is, and in the end what came of it.
	Text     string    `json:"text"`
	Began    time.Time `json:"began"`
	Finished time.Time `json:"finished,omitzero"`
}

// Active reports whether the task is under way.
func (f TaskFact) Active() bool { return f.Status == TaskActive }

// tasks are those that are remembered.
type tasks struct {
	ctx context.Context // ends with the array
	mu  sync.Mutex
	all []*task
}

type task struct {
	keptTask
	stop context.CancelFunc
	// cancelled: a person ended it.
	cancelled bool
	ended     chan struct{}
	// saved is when it was stored last.
	saved time.Time
}

// work is what a task does. It returns what came of it.
type work func(context.Context, func(progress.Step)) (string, error)

func (t *tasks) init(ctx context.Context) { t.ctx = ctx }

// StartTask begins a long command that nobody waits for.
func (n *Node) StartTask(ctx context.Context, kind, name string, q Asked) (TaskFact, error) {
	c := find(q.Words[0])
	if c == nil {
		return TaskFact{}, array.Errorf(array.Invalid, "unknown command %q: 'help' lists them", q.Words[0])
	}
	if err := n.roomForTask(); err != nil {
		return TaskFact{}, err
	}
	if c.name == "createvvcopy" {
		return n.copyWithTask(ctx, q)
	}
	var f TaskFact
	_, err := n.audited(q, c, func() (string, error) {
		err := q.permitted(c)
		if err != nil {
			return "", err
		}
		do, err := n.begun(ctx, c, q)
		if err == nil {
			f, err = n.goOn(keptTask{TaskFact: TaskFact{Kind: kind, Name: name}, By: q.By, Words: q.Words}, do)
		}
		return "", n.untoldOf(q, err)
	})
	return f, err
}

// begun carries out what of a command is done at once, and returns the rest.
func (n *Node) begun(ctx context.Context, c *command, q Asked) (work, error) {
	if c.of != nil && n.elsewhere(c.of(n, q.Words)) {
		return func(ctx context.Context, tell func(progress.Step)) (string, error) {
			q.Tell = tell
			return n.pass(ctx, q)
		}, nil
	}
	a := n.newArgs(c, q)
	if err := n.runAlone(ctx, c, a); err != nil {
		return nil, err
	}
	return func(ctx context.Context, tell func(progress.Step)) (string, error) {
		a.tell = tell
		var err error
		if a.then != nil {
			err = a.then(ctx)
		}
		_ = a.tab.Flush()
		return a.out.String(), err
	}, nil
}

// copyWithTask begins a physical copy. The array that carries the command out makes a task;
// if that is the other one, this array makes one too.
func (n *Node) copyWithTask(ctx context.Context, q Asked) (TaskFact, error) {
	var id uint64
	q.begun = &id
	if _, err := n.Do(ctx, q); err != nil {
		return TaskFact{}, err
	}
	if id != 0 {
		return n.Task(id)
	}
	return n.startCopyTask(n.newArgs(find(q.Words[0]), q), q.Words[len(q.Words)-1])
}

// startCopyTask makes a task that waits for a physical copy. To cancel it is to halt the copy.
func (n *Node) startCopyTask(a *args, dest string) (TaskFact, error) {
	if err := n.roomForTask(); err != nil {
		return TaskFact{}, err
	}
	f, err := n.goOn(keptTask{
		TaskFact: TaskFact{Kind: kindCopy, Name: dest, Phases: copyPhases}, By: a.by, Undo: []string{"createvvcopy", "-halt", dest},
	}, n.copyWork(dest))
	if err == nil && a.begun != nil {
		*a.begun = f.ID
	}
	return f, err
}

// kindCopy is that of physical copies.
const kindCopy = "vv_copy"

func (n *Node) copyWork(dest string) work {
	return func(ctx context.Context, tell func(progress.Step)) (string, error) {
		return n.waitCopy(ctx, dest, tell)
	}
}

func (n *Node) roomForTask() error {
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	active := 0
	for _, t := range n.tasks.all {
		if t.Active() && !t.Waited {
			active++
		}
	}
	if active >= maxTasks {
		return array.Errorf(array.Busy, "%d tasks are under way, the most there may be", maxTasks)
	}
	return nil
}

// goOn lets work go on as a task.
func (n *Node) goOn(k keptTask, do work) (TaskFact, error) {
	if n.tasks.ctx.Err() != nil {
		return TaskFact{}, array.Errorf(array.Unavailable, "the array shuts down")
	}
	ctx, t, err := n.newTask(n.tasks.ctx, k)
	if err != nil {
		return TaskFact{}, err
	}
	n.wg.Go(func() { _, _ = n.runTask(ctx, t, do) })
	return n.Task(t.ID)
}

// waitFor carries out what a command waits for. It is a task that ends with who waits.
func (n *Node) waitFor(ctx context.Context, q Asked, a *args) error {
	then := func(ctx context.Context) error {
		return n.carefully(a.cmd.name, func() error { return a.then(ctx) })
	}
	if a.kind == "" {
		return then(ctx)
	}
	inner, t, err := n.newTask(ctx, keptTask{TaskFact: TaskFact{Kind: a.kind, Name: a.obj}, By: q.By, Words: q.Words, Waited: true})
	if err != nil {
		n.eventOnce(fmt.Sprintf("%s has no task: %v", a.cmd.name, err))
		return then(ctx)
	}
	_, err = n.runTask(inner, t, func(ctx context.Context, tell func(progress.Step)) (string, error) {
		a.tell = func(p progress.Step) {
			tell(p)
			if q.Tell != nil {
				q.Tell(p)
			}
		}
		err := then(ctx)
		_ = a.tab.Flush()
		return a.out.String(), err
	})
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	if t.Status == TaskCancelled && t.cancelled {
		return array.Errorf(array.Aborted, "%s: task %d, which waited, was cancelled; what the command began goes on", a.cmd.name, t.ID)
	}
	return err
}

// runTask does a task's work and keeps how far it is.
func (n *Node) runTask(ctx context.Context, t *task, do work) (string, error) {
	defer close(t.ended)
	defer t.stop()
	var text string
	err := n.carefully(t.Kind, func() (err error) {
		text, err = do(ctx, func(p progress.Step) { n.taskAt(t, p) })
		return err
	})
	err = n.untoldOf(Asked{By: t.By, Words: t.Words}, err) // others in its domain read it
	n.endTask(ctx, t, text, err)
	return text, err
}

// Tasks returns the tasks that are remembered, oldest first.
func (n *Node) Tasks() (all []TaskFact) {
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	for _, t := range n.tasks.all {
		all = append(all, t.TaskFact)
	}
	slices.SortFunc(all, func(a, b TaskFact) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Task returns one of them.
func (n *Node) Task(id uint64) (TaskFact, error) {
	t, err := n.tasks.find(id)
	if err != nil {
		return TaskFact{}, err
	}
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	return t.TaskFact, nil
}

func (t *tasks) find(id uint64) (*task, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.ID == id {
			return x, nil
		}
	}
	return nil, noTask(id)
}

func noTask(id uint64) error {
	return array.Errorf(array.NotFound, "task %d does not exist on this array: each array numbers its own, and 'showtask -all' lists them", id).Because(array.NoTask)
}

// WaitTask returns a task when it has ended, or as it stands when ctx does.
func (n *Node) WaitTask(ctx context.Context, id uint64) (TaskFact, error) {
	t, err := n.tasks.find(id)
	if err != nil {
		return TaskFact{}, err
	}
	select {
	case <-t.ended:
	case <-ctx.Done():
	case <-n.tasks.ctx.Done():
	}
	return n.Task(id)
}

// CancelTask ends a task and waits until it has ended.
func (n *Node) CancelTask(ctx context.Context, by Caller, id uint64) error {
	t, err := n.tasks.find(id)
	if err != nil {
		return err
	}
	cancelled := func(is bool) (TaskStatus, func()) {
		n.tasks.mu.Lock()
		defer n.tasks.mu.Unlock()
		t.cancelled = is && t.Status == TaskActive
		return t.Status, t.stop
	}
	status, stop := cancelled(true)
	if status != TaskActive {
		return array.Errorf(array.Conflict, "task %d has ended: %s", id, status)
	}
	// What it waits for is ended first: if that can't be, the task goes on.
	if len(t.Undo) > 0 {
		if _, err := n.Do(ctx, Asked{By: by, Words: t.Undo}); err != nil && array.ReasonOf(err) != array.NoCopy {
			cancelled(false)
			return fmt.Errorf("task %d goes on: %w", id, err)
		}
	}
	stop()
	select {
	case <-t.ended:
	case <-ctx.Done():
		return array.Errorf(array.Busy, "task %d is being cancelled", id)
	}
	return nil
}
