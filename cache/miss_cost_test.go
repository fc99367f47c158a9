package cache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// BenchmarkMiss reads records of both formats, as a poll does that Redis has answered.
func BenchmarkMiss(b *testing.B) {
	url := "redis://" + miniredis.RunT(b).Addr()
	for _, size := range []int{100, 700, 3000} {
		for _, compact := range []bool{false, true} {
			c := openIdle(b, url, prefixed(fmt.Sprint("miss-", compact)))
			c.formats.Fix(compact)
			var text strings.Builder
			for i := 0; text.Len() < size; i++ {
				fmt.Fprintf(&text, `{"id":"%08x","title":"Suspicious call","level":"high"},`, 2654435761*uint32(i+1))
			}
			e := succeeded(testARN(b, fmt.Sprint("miss-", size)), now(), `{"rules":[`+strings.TrimSuffix(text.String(), ",")+`]}`)
			e.Owner = "ada"
			apply(b, c, running(e.ARN, e.StartDate), e)
			record := []byte(c.db.Readers.Get(b.Context(), c.db.Names.Execution(string(e.ARN))).Val())
			b.Run(fmt.Sprintf("size=%d/format=%c", size, record[0]), func(b *testing.B) {
				for b.Loop() {
					if _, err := decode(e.ARN, record); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
