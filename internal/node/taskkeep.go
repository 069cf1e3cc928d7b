// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// keptTask is a task as the store has it.
type keptTask struct {
	TaskFact
	// By gave the command, Words. Undo is done when the task is cancelled.
	By    Caller   `json:"by"`
	Words []string `json:"words,omitempty"`
	Undo  []string `json:"undo,omitempty"`
	// Volume is what the task is about, where a name may become another one.
	Volume array.VolumeID `json:"volume,omitempty"`
	// Waited: it ends with who gave the command.
	Waited bool `json:"waited,omitempty"`
}

const (
	// taskSaves is how often it is stored how far a task is.
	taskSaves = 10 * time.Second
	// maxTaskText bounds what is kept of what came of a task.
	maxTaskText = 4 << 10
)

// newTask gives a task a number, and stores it. It ends with the context that it returns.
func (n *Node) newTask(ctx context.Context, k keptTask) (context.Context, *task, error) {
	k.Status, k.Phase, k.Phases, k.Began, k.User = TaskActive, 1, max(k.Phases, 1), n.now().Round(0), k.By.User
	k.Domain = n.domainOfText(taskText(k.Kind, k.Name))
	if c := k.command(); c != nil {
		k.Words = c.blanked(k.Words)
	}
	if err := n.store.Update(func(t *store.Tx) error {
		id, _, err := tables.count.Get(t, "tasks")
		if err != nil {
			return err
		}
		k.ID = id + 1
		if err := tables.count.Put(t, "tasks", k.ID); err != nil {
			return err
		}
		return tables.tasks.Put(t, store.Key(k.ID), k)
	}); err != nil {
		return nil, nil, fmt.Errorf("store a task: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	x := &task{keptTask: k, stop: stop, ended: make(chan struct{}), saved: time.Now()}
	n.forgetTasks(n.tasks.add(x))
	return ctx, x, nil
}

// taskText names what a task is about, as an event would.
func taskText(kind, name string) string {
	if kind == kindCopy {
		return "volume " + name
	}
	return "group " + name
}

// command is what the task was made by, nil if it only waits for something.
func (k keptTask) command() *command {
	if len(k.Words) == 0 {
		return nil
	}
	return find(k.Words[0])
}

// add makes room among those that are over, and returns what is to be forgotten.
func (t *tasks) add(x *task) (old []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, x)
	for i := 0; len(t.all) > keptTasks && i < len(t.all); {
		if t.all[i].Active() {
			i++
			continue
		}
		old = append(old, t.all[i].ID)
		t.all = slices.Delete(t.all, i, i+1)
	}
	return old
}

func (n *Node) forgetTasks(ids []uint64) {
	if len(ids) == 0 {
		return
	}
	if err := n.store.Update(func(t *store.Tx) error {
		for _, id := range ids {
			if err := tables.tasks.Delete(t, store.Key(id)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		n.log.Warn("forget old tasks", "err", err)
	}
}

// taskAt keeps how far a task is.
func (n *Node) taskAt(t *task, p progress.Step) {
	n.tasks.mu.Lock()
	t.Percent, t.Rate, t.Left, t.Text = p.Percent, p.Rate, p.Left, p.String()
	if p.Phases > 0 {
		t.Phase, t.Phases = p.Phase, p.Phases
	}
	k, now := t.keptTask, time.Now()
	save := now.Sub(t.saved) > taskSaves
	if save {
		t.saved = now
	}
	n.tasks.mu.Unlock()
	if save {
		n.saveTask(k)
	}
}

func (n *Node) saveTask(k keptTask) {
	if err := n.store.Update(func(t *store.Tx) error { return tables.tasks.Put(t, store.Key(k.ID), k) }); err != nil {
		n.log.Warn("store a task", "task", k.ID, "err", err)
	}
}

// endTask keeps what came of a task. One that goes on after a restart has not ended with the
// array.
func (n *Node) endTask(ctx context.Context, t *task, text string, err error) {
	n.tasks.mu.Lock()
	t.Left, t.Finished = 0, n.now().Round(0)
	switch {
	case err == nil:
		t.Status, t.Percent, t.Phase, t.Text = TaskDone, 100, t.Phases, strings.TrimSpace(text)
	case t.cancelled:
		t.Status, t.Text = TaskCancelled, "cancelled"
	case n.tasks.ctx.Err() != nil && !t.Waited:
		t.Finished = time.Time{}
	case n.tasks.ctx.Err() != nil:
		t.Status, t.Text = TaskFailed, endedWithArray
	case ctx.Err() != nil:
		t.Status, t.Text = TaskCancelled, "whoever asked for it is gone"
	default:
		t.Status, t.Text = TaskFailed, err.Error()
	}
	t.Text = strings.ToValidUTF8(t.Text[:min(len(t.Text), maxTaskText)], "")
	k := t.keptTask
	n.tasks.mu.Unlock()
	if k.Status == TaskFailed && !k.Waited {
		n.warn(fmt.Sprintf("task %d, %s of %s, failed: %s", k.ID, k.Kind, k.Name, k.Text))
	}
	n.saveTask(k)
}

// endedWithArray is what came of a task that somebody waited for.
const endedWithArray = "the array's daemon ended before it was done: what the command had begun goes on by itself, or is taken back, as 'showeventlog' says; else give it again"

// loadTasks reads the tasks of earlier starts.
func (n *Node) loadTasks() error {
	var over []keptTask
	if err := n.store.View(func(t *store.Tx) error {
		return tables.tasks.Each(t, func(_ string, k keptTask) error {
			if k.Active() && k.Waited {
				k.Status, k.Text, k.Left, k.Finished = TaskFailed, endedWithArray, 0, n.now()
				over = append(over, k)
			}
			x := &task{keptTask: k, stop: func() {}, ended: make(chan struct{}), saved: time.Now()}
			if !k.Active() {
				close(x.ended)
			}
			n.tasks.add(x)
			return nil
		})
	}); err != nil {
		return err
	}
	for _, k := range over {
		n.saveTask(k)
	}
	return nil
}

// resumeTasks goes on with what an earlier start began. The groups are open.
func (n *Node) resumeTasks() {
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	for _, t := range n.tasks.all {
		if !t.Active() {
			continue
		}
		ctx, stop := context.WithCancel(n.tasks.ctx)
		if t.stop = stop; t.cancelled {
			stop()
		}
		do := n.copyWork(t.Name)
		switch t.Kind {
		case kindCopy:
		case kindJoin:
			do = n.joinWork(t.Name)
		case kindStay:
			do = n.stayWork(t.Volume, t.Name)
		default:
			do = n.givenAgain(t.keptTask)
		}
		n.wg.Go(func() { _, _ = n.runTask(ctx, t, do) })
	}
}

const (
	// againWithin is how long a command that is given again after a restart may be refused
	// because the arrays have not met, or nobody serves its group, yet.
	againWithin = 2 * time.Minute
	againEvery  = 250 * time.Millisecond
)

// givenAgain gives a task's command again, in the name of who gave it.
func (n *Node) givenAgain(k keptTask) work {
	return func(ctx context.Context, tell func(progress.Step)) (string, error) {
		c := k.command()
		if c == nil {
			return "", array.Errorf(array.Internal, "task %d has no command that this program knows", k.ID)
		}
		by, err := n.asNow(k.By)
		if err != nil {
			return "", err
		}
		q := Asked{By: by, Words: k.Words}
		q.By.Over = overTask
		return n.audited(q, c, func() (string, error) {
			if err := q.permitted(c); err != nil {
				return "", err
			}
			limit := time.Now().Add(againWithin)
			for {
				do, err := n.begun(ctx, c, q)
				text := ""
				if err == nil {
					text, err = do(ctx, tell)
				}
				if err == nil || !passing(err) || time.Now().After(limit) || !pause(ctx, againEvery) {
					return text, err
				}
			}
		})
	}
}

// asNow is who gave a command, with what he may do now. What a pledge finishes or takes back is done
// by who he was: it was begun.
func (n *Node) asNow(by Caller) (Caller, error) {
	if by.Itself || by.User == people.Local {
		return by, nil
	}
	u, err := n.people.User(by.User)
	if err != nil {
		return by, fmt.Errorf("in the name of who asked for it: %w", err)
	}
	by.Grants = u.Grants
	return by, nil
}
