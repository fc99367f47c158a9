package bounded

import "github.com/maypok86/otter/v2"

// byText and byHash have otter's code for their types. None of their methods may be
// inlined: otter's code would be compiled again wherever they are.
type (
	byText struct{ entries *otter.Cache[string, any] }
	byHash struct{ entries *otter.Cache[Hash, any] }
)

//go:noinline
func newByText(o *otter.Options[string, any]) *byText { return &byText{otter.Must(o)} }

//go:noinline
func (b *byText) get(key string) (any, bool) { return b.entries.GetIfPresent(key) }

//go:noinline
func (b *byText) set(key string, value any) { b.entries.Set(key, value) }

//go:noinline
func (b *byText) getOrSet(key string, value any) any {
	kept, _ := b.entries.SetIfAbsent(key, value)
	return kept
}

//go:noinline
func (b *byText) delete(key string) { b.entries.Invalidate(key) }

//go:noinline
func (b *byText) clear() { b.entries.InvalidateAll() }

//go:noinline
func (b *byText) cleanUp() { b.entries.CleanUp() }

//go:noinline
func newByHash(o *otter.Options[Hash, any]) *byHash { return &byHash{otter.Must(o)} }

//go:noinline
func (b *byHash) get(key Hash) (any, bool) { return b.entries.GetIfPresent(key) }

//go:noinline
func (b *byHash) set(key Hash, value any) { b.entries.Set(key, value) }

//go:noinline
func (b *byHash) delete(key Hash) { b.entries.Invalidate(key) }

//go:noinline
func (b *byHash) clear() { b.entries.InvalidateAll() }
