package envelope

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzFraming(f *testing.F) {
	f.Add("01769414400123-00000-6-2", []byte("{\"a\":\n\"b\"}"))
	f.Add("", []byte("\r\nevent: end\r\rdata: forged\n\n"))
	f.Add("1", []byte("{\"a\":\"\u2028\"}"))
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		if strings.ContainsAny(id, "\r\n") || len(data) == 0 {
			return
		}
		b := AppendHeartbeat(AppendEvent(AppendRetry(nil), "status", id, data))
		want := "retry: 2000\n\n"
		if id != "" {
			want += "id: " + id + "\n"
		}
		want += "event: status\ndata: "
		rest, found := bytes.CutPrefix(b, []byte(want))
		line, end, cut := bytes.Cut(rest, []byte("\n"))
		if !found || !cut || string(end) != "\n:\n\n" || bytes.ContainsAny(line, "\r\n") || len(line) != len(data) {
			t.Errorf("%q", b)
		}
		for i := range line {
			if line[i] != data[i] && (line[i] != ' ' || data[i] != '\n' && data[i] != '\r') {
				t.Errorf("%q became %q", data, line)
			}
		}
	})
}
