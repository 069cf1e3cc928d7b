// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// A task is a long command that whoever asked for it need not wait for. What can be wrong
// with it at once is told at once; then it goes on by itself. Tasks end with the daemon;
// physical copies go on after that, without one.

const (
	// maxTasks bounds the tasks under way, keptTasks those that are remembered.
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
	ID uint64
	// Kind is the incumbent's word for what it does, Name what it does it to.
	Kind, Name string
	Status     TaskStatus
	Percent    float64
	// Text is how far it is, and in the end what came of it.
	Text            string
	Began, Finished time.Time
}

// tasks are those of this start.
type tasks struct {
	ctx context.Context // ends with the array
	mu  sync.Mutex
	all []*task
}

type task struct {
	fact TaskFact
	stop context.CancelFunc
	// undo is done when the task is cancelled.
	undo  []string
	ended chan struct{}
}

func (t *tasks) init(ctx context.Context) { t.ctx = ctx }

// StartTask begins a long command.
func (n *Node) StartTask(ctx context.Context, kind, name string, q Asked) (TaskFact, error) {
	c := find(q.Words[0])
	if c == nil {
		return TaskFact{}, array.Errorf(array.Invalid, "unknown command %q: 'help' lists them", q.Words[0])
	}
	if c.name == "createvvcopy" {
		return n.startCopyTask(ctx, kind, name, q)
	}
	var f TaskFact
	_, err := n.audited(q, c, func() (string, error) {
		err := q.permitted(c)
		if err == nil {
			f, err = n.startTask(ctx, kind, name, c, q)
		}
		return "", err
	})
	return f, err
}

func (n *Node) startTask(ctx context.Context, kind, name string, c *command, q Asked) (TaskFact, error) {
	if err := n.roomForTask(); err != nil {
		return TaskFact{}, err
	}
	if c.of != nil && n.elsewhere(c.of(n, q.Words)) {
		return n.goOn(kind, name, nil, func(ctx context.Context, _ func(progress.Step)) (string, error) {
			return n.askWithin(ctx, commandWithin, request{Command: q.Words, By: &q.By})
		})
	}
	a := newArgs(c, q)
	if err := n.runAlone(ctx, c, a); err != nil {
		return TaskFact{}, err
	}
	return n.goOn(kind, name, nil, func(ctx context.Context, tell func(progress.Step)) (string, error) {
		a.tell = tell
		var err error
		if a.then != nil {
			err = a.then(ctx)
		}
		_ = a.tab.Flush()
		return a.out.String(), err
	})
}

// startCopyTask begins a physical copy, whose task waits for it. To cancel it is to halt
// the copy.
func (n *Node) startCopyTask(ctx context.Context, kind, name string, q Asked) (TaskFact, error) {
	if err := n.roomForTask(); err != nil {
		return TaskFact{}, err
	}
	if _, err := n.Do(ctx, q); err != nil {
		return TaskFact{}, err
	}
	dest := q.Words[len(q.Words)-1]
	return n.goOn(kind, name, []string{"createvvcopy", "-halt", dest}, func(ctx context.Context, tell func(progress.Step)) (string, error) {
		q.Tell = tell
		a := newArgs(find(q.Words[0]), q)
		err := n.waitCopy(ctx, a, dest)
		_ = a.tab.Flush()
		return a.out.String(), err
	})
}

func (n *Node) roomForTask() error {
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	active := 0
	for _, t := range n.tasks.all {
		if t.fact.Status == TaskActive {
			active++
		}
	}
	if active >= maxTasks {
		return array.Errorf(array.Busy, "%d tasks are under way, the most there may be", maxTasks)
	}
	return nil
}

// goOn lets work go on as a task.
func (n *Node) goOn(kind, name string, undo []string, work func(context.Context, func(progress.Step)) (string, error)) (TaskFact, error) {
	if n.tasks.ctx.Err() != nil {
		return TaskFact{}, array.Errorf(array.Unavailable, "the array shuts down")
	}
	id, err := n.nextTask()
	if err != nil {
		return TaskFact{}, err
	}
	ctx, stop := context.WithCancel(n.tasks.ctx)
	t := &task{stop: stop, undo: undo, ended: make(chan struct{}), fact: TaskFact{ID: id, Kind: kind, Name: name, Status: TaskActive, Began: n.now()}}
	n.tasks.add(t)
	n.wg.Go(func() {
		defer close(t.ended)
		defer stop()
		text, err := work(ctx, func(p progress.Step) {
			n.tasks.change(t, func(f *TaskFact) { f.Percent, f.Text = p.Percent, p.String() })
		})
		if err != nil && ctx.Err() == nil {
			n.warn(fmt.Sprintf("task %d, %s of %s, failed: %v", id, kind, name, err))
		}
		n.tasks.change(t, func(f *TaskFact) {
			f.Finished = n.now()
			switch {
			case err == nil:
				f.Status, f.Percent, f.Text = TaskDone, 100, strings.TrimSpace(text)
			case ctx.Err() != nil:
				f.Status, f.Text = TaskCancelled, "cancelled"
			default:
				f.Status, f.Text = TaskFailed, err.Error()
			}
		})
	})
	return n.Task(id)
}

// nextTask returns a number that no task had.
func (n *Node) nextTask() (id uint64, err error) {
	err = n.store.Update(func(t *store.Tx) error {
		if id, _, err = tables.count.Get(t, "tasks"); err != nil {
			return err
		}
		id++
		return tables.count.Put(t, "tasks", id)
	})
	return id, err
}

func (t *tasks) add(x *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, x)
	for i := 0; len(t.all) > keptTasks && i < len(t.all); {
		if t.all[i].fact.Status == TaskActive {
			i++
			continue
		}
		t.all = slices.Delete(t.all, i, i+1)
	}
}

func (t *tasks) change(x *task, f func(*TaskFact)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&x.fact)
}

// Tasks returns the tasks that are remembered, oldest first.
func (n *Node) Tasks() (all []TaskFact) {
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	for _, t := range n.tasks.all {
		all = append(all, t.fact)
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
	return t.fact, nil
}

func (t *tasks) find(id uint64) (*task, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.fact.ID == id {
			return x, nil
		}
	}
	return nil, array.Errorf(array.NotFound, "task %d does not exist", id).Because(array.NoTask)
}

// CancelTask ends a task and waits until it has ended.
func (n *Node) CancelTask(ctx context.Context, by Caller, id uint64) error {
	t, err := n.tasks.find(id)
	if err != nil {
		return err
	}
	if f, err := n.Task(id); err != nil || f.Status != TaskActive {
		return orElse(err, array.Errorf(array.Conflict, "task %d has ended: %s", id, f.Status))
	}
	t.stop()
	select {
	case <-t.ended:
	case <-ctx.Done():
		return array.Errorf(array.Busy, "task %d is being cancelled", id)
	}
	if len(t.undo) == 0 {
		return nil
	}
	if _, err := n.Do(ctx, Asked{By: by, Words: t.undo}); err != nil && array.ReasonOf(err) != array.NoCopy {
		return err
	}
	return nil
}
