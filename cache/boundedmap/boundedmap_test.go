package boundedmap

import (
	"crypto/sha256"
	"strconv"
	"testing"
)

func TestEntriesAreBounded(t *testing.T) {
	t.Parallel()
	const most = 100
	text, hash := NewByText[int](most), NewByHash[int](most)
	for n := range 50 * most {
		key := strconv.Itoa(n)
		text.Set(key, n)
		hash.Set(sha256.Sum256([]byte(key)), n)
	}
	text.CleanUp()
	hash.m.cleanUp()
	a, b := text.m.(compiled[string]).cache.EstimatedSize(), hash.m.(compiled[Hash]).cache.EstimatedSize()
	if a > most || b > most {
		t.Errorf("%d and %d entries, at most %d may be kept", a, b, most)
	}
}

func TestWeightIsBounded(t *testing.T) {
	t.Parallel()
	m := NewWeighedByText(1000, func(_ string, v []byte) uint32 { return uint32(len(v)) })
	for n := range 100 {
		m.Set(strconv.Itoa(n), make([]byte, 100))
	}
	m.CleanUp()
	if got := m.m.(compiled[string]).cache.WeightedSize(); got > 1000 {
		t.Errorf("weight %d", got)
	}
}

func TestEntriesAreFoundUntilTheyAreDeleted(t *testing.T) {
	t.Parallel()
	type value struct{ n int }
	m := NewByText[value](10)
	m.Set("a", value{1})
	if v, ok := m.Get("a"); !ok || v.n != 1 {
		t.Errorf("%v, %v", v, ok)
	}
	if v := m.GetOrSet("a", value{2}); v.n != 1 {
		t.Errorf("the first value is %v", v)
	}
	if v := m.GetOrSet("b", value{3}); v.n != 3 {
		t.Errorf("the value of a new key is %v", v)
	}
	m.Delete("a")
	if v, ok := m.Get("a"); ok || v.n != 0 {
		t.Errorf("after its delete: %v, %v", v, ok)
	}
	m.Clear()
	if _, ok := m.Get("b"); ok {
		t.Error("something is left")
	}
}
