package conns

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

const (
	settingsFrame = 4
	pingFrame     = 6
	ack           = 1
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	return appendFrame(nil, kind, flags, stream, payload)
}

// TestASlowStreamOfFramesIsNotAFlood: the budget that time adds is enough for a client that
// requests nothing for a long time and pings a hundred times a second.
func TestASlowStreamOfFramesIsNotAFlood(t *testing.T) {
	t.Parallel()
	for rate, want := range map[int]bool{framesASecond / 2: true, 10 * framesASecond: false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFrames(nil, nil)
			enough := true
			for range 5 * frameSavings {
				<-time.After(time.Second / time.Duration(rate))
				enough = enough && f.spend()
			}
			if enough != want {
				t.Errorf("%d a second: %v", rate, enough)
			}
		})
	}
}

// TestFramesAreFoundInPiecesOfAnyLength: a read or a write may end anywhere in a frame.
func TestFramesAreFoundInPiecesOfAnyLength(t *testing.T) {
	t.Parallel()
	all := bytes.Join([][]byte{
		frame(settingsFrame, 0, 0, make([]byte, 12)), frame(pingFrame, 0, 0, make([]byte, 8)), frame(dataFrame, endStream, 5, make([]byte, 300)), frame(settingsFrame, ack, 0, nil),
	}, nil)
	for piece := 1; piece <= len(all); piece++ {
		var s frameScanner
		var kinds []byte
		total := 0
		for rest := all; len(rest) > 0; {
			n := min(piece, len(rest))
			s.scan(rest[:n], func(h frameHeader) {
				kinds = append(kinds, h.kind)
				total += h.length
			})
			rest = rest[n:]
		}
		if !bytes.Equal(kinds, []byte{settingsFrame, pingFrame, dataFrame, settingsFrame}) || total != 320 || !s.between() {
			t.Fatalf("in pieces of %d: %v, %d bytes", piece, kinds, total)
		}
	}
}
