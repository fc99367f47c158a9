package localaws

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const redriveAfter = 3

// model is the expected content of a queue and its dead letters.
type model struct {
	queue, dead *Queue
	alive       map[string]*expected // not deleted, by ID
	handles     []handle             // of every receive
}

type expected struct {
	receives int
	visible  time.Time
}

type handle struct {
	id, receipt string
	receive     int // the number of this receive of its message
}

// step is one action, and its amount.
type step struct{ What, Much int }

// play does one step and returns what is wrong after it, if anything.
func (m *model) play(t *testing.T, s step) error {
	var err error
	switch s.What {
	case 0:
		m.alive[m.queue.Send("x", 0)] = &expected{visible: time.Now()}
	case 1:
		pass(time.Duration(s.Much) * time.Second)
	case 2:
		err = m.receive(t, 1+s.Much%maxBatch)
	case 3:
		err = m.delete(s.Much)
	}
	if total := m.queue.Depth().Total() + m.dead.Depth().Total(); err == nil && total != len(m.alive) {
		err = fmt.Errorf("%d messages, want %d", total, len(m.alive))
	}
	return err
}

func (m *model) moved(id string) bool { return m.dead.messages[id] != nil }

func (m *model) receive(t *testing.T, most int) error {
	got := m.queue.receive(t.Context(), most, visibleFor, 0)
	for _, d := range got {
		e := m.alive[d.id]
		if e == nil || e.visible.After(time.Now()) {
			return fmt.Errorf("%s was received while deleted or hidden", d.id)
		}
		e.receives, e.visible = e.receives+1, time.Now().Add(visibleFor)
		if d.receives != e.receives || d.receives > redriveAfter {
			return fmt.Errorf("receive %d of %s was counted as %d", e.receives, d.id, d.receives)
		}
		m.handles = append(m.handles, handle{d.id, d.receipt, d.receives})
	}
	for id, e := range m.alive {
		if due := !e.visible.After(time.Now()); due && !m.moved(id) && len(got) < most {
			return fmt.Errorf("%s was visible and neither received nor moved", id)
		}
		if m.moved(id) && e.receives != redriveAfter {
			return fmt.Errorf("%s was moved after %d receives", id, e.receives)
		}
	}
	return nil
}

// delete uses any earlier handle. Only the handle of the latest receive works, and only in its
// own queue.
func (m *model) delete(which int) error {
	if len(m.handles) == 0 {
		return nil
	}
	h := m.handles[which%len(m.handles)]
	if e := m.alive[h.id]; e != nil && e.receives == h.receive && !m.moved(h.id) {
		delete(m.alive, h.id)
	}
	return m.queue.remove(h.receipt)
}

// TestRandomLives searches a sequence of calls after which the queue has other messages than
// expected.
func TestRandomLives(t *testing.T) {
	t.Parallel()
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{rapid.IntRange(0, 3).Draw(t, "what"), rapid.IntRange(1, 40).Draw(t, "much")}
	}), 1, 60)
	rapid.Check(t, func(rt *rapid.T) {
		script := steps.Draw(rt, "script")
		var wrong error
		synctest.Test(t, func(t *testing.T) {
			m := &model{alive: map[string]*expected{}}
			m.queue, m.dead = deadLetters(New(), redriveAfter)
			for i := 0; i < len(script) && wrong == nil; i++ {
				wrong = m.play(t, script[i])
			}
		})
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}
