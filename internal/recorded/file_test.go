package recorded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/replay"
)

func fileOf(text string) Opener {
	return File("payloads.json", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, replay.Past{})
}

// tell tells the alerts of a history, one a line.
func tell(t *testing.T, open Opener) ([]string, error) {
	t.Helper()
	h, err := open(t.Context())
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var out []string
	for d, err := range h.Alerts {
		if err != nil {
			return out, err
		}
		word := "resolved"
		if d.Alert.Firing {
			word = "firing"
		}
		out = append(out, fmt.Sprintf("%s %s %s since %s", d.At.Format("15:04:05"), word, d.Alert.Name(), d.Alert.StartsAt.UTC().Format("15:04:05")))
	}
	return out, nil
}

func hook(name, status, starts, ends string) string {
	return fmt.Sprintf(`{"version":"4","status":%q,"alerts":[{"status":%q,"labels":{"alertname":%q,"note":"a } ] \" { brace"},"startsAt":"2026-03-01T%sZ","endsAt":%q}]}`, status, status, name, starts, ends)
}

const none = "0001-01-01T00:00:00Z"

func TestFiles(t *testing.T) {
	fires, resolves := hook("A", "firing", "10:00:00", none), hook("A", "resolved", "10:00:00", "2026-03-01T10:30:00Z")
	old := hook("B", "firing", "09:00:00", none)
	list := `[{"labels":{"alertname":"C"},"startsAt":"2026-03-01T11:00:00Z","endsAt":"2026-03-01T12:00:00Z"},{"labels":{"alertname":"D"},"startsAt":"2026-03-01T10:00:00Z","endsAt":"2026-03-01T10:59:00Z"}]`
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":         {"\n \n", nil},
		"one a line":      {fires + "\n" + resolves + "\n", []string{"10:00:00 firing A since 10:00:00", "10:30:00 resolved A since 10:00:00"}},
		"without a break": {fires + resolves, []string{"10:00:00 firing A since 10:00:00", "10:30:00 resolved A since 10:00:00"}},
		"over lines":      {strings.ReplaceAll(fires, ",", ",\n\t") + "\r\n" + resolves, []string{"10:00:00 firing A since 10:00:00", "10:30:00 resolved A since 10:00:00"}},
		"a repetition has the time of the one before it": {
			resolves + old, []string{"10:30:00 resolved A since 10:00:00", "10:30:00 firing B since 09:00:00"},
		},
		"received": {
			`{"received_at":"2026-03-01T10:00:07+00:00","body":` + fires + `}` + "\n" + `{ "body": ` + old + `, "received_at": "2026-03-01T12:00:00Z"}`,
			[]string{"10:00:07 firing A since 10:00:00", "12:00:00 firing B since 09:00:00"},
		},
		"the body as a text": {`{"received_at":"2026-03-01T10:00:07Z","body":"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(fires) + `"}`, []string{"10:00:07 firing A since 10:00:00"}},
		"a list":             {list, []string{"11:00:00 firing C since 11:00:00", "11:00:00 resolved D since 10:00:00"}},
		"a list, received":   {`{"received_at":"2026-03-01T12:00:01Z","body":` + list + `}`, []string{"12:00:01 resolved C since 11:00:00", "12:00:01 resolved D since 10:00:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tell(t, fileOf(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMistakesInFiles: the place is named, and nothing is left out in silence.
func TestMistakesInFiles(t *testing.T) {
	fires := hook("A", "firing", "10:00:00", none)
	for text, want := range map[string]string{
		fires + "\n" + `{"version":"3","alerts":[]}`: "payloads.json: line 2: ",
		fires + "\n\n{\"version\"":                   "line 3: the JSON that begins here does not end",
		fires + "\nnull":                             "line 2: begins with 'n'",
		"]":                                          "line 1: ",
		`{"received_at":"yesterday","body":{}}`:      "line 1: ",
		`{"received_at":"2026-03-01T10:00:00Z"}`:     "line 1: ",
		`{"body":{},"at":"2026-03-01T10:00:00Z"}`:    "unknown field",
		`[{"labels":{}}]`:                            "at least one label pair",
		`{"received_at":"2026-03-01T10:00:00Z","body":` + fires + "}\n" + `{"received_at":"2026-03-01T09:00:00Z","body":` + fires + "}": "line 2: received at 2026-03-01T09:00:00Z, before the one in front of it",
	} {
		if _, err := tell(t, fileOf(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestWhatAlertmanagerReallySent can be replayed, file by file and all in one.
func TestWhatAlertmanagerReallySent(t *testing.T) {
	files, err := filepath.Glob("../alertwire/testdata/alertmanager/*-firing.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d recorded payloads, %v", len(files), err)
	}
	var all strings.Builder
	alerts := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tell(t, fileOf(string(data)))
		if err != nil || len(got) == 0 {
			t.Errorf("%s: %d alerts, %v", file, len(got), err)
		}
		alerts += len(got)
		all.Write(data)
		all.WriteByte('\n')
	}
	if got, err := tell(t, fileOf(all.String())); err != nil || len(got) != alerts {
		t.Errorf("all in one: %d alerts, want %d; %v", len(got), alerts, err)
	}
}

// slowly gives its text in pieces.
type slowly struct {
	text string
	n    int
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n)], s.text)
	s.text = s.text[n:]
	return n, nil
}

// TestSplitsWhereverReadsEnd: documents are the same in whatever pieces they come.
func TestSplitsWhereverReadsEnd(t *testing.T) {
	text := ` {"a":"\\\"}"}[1,{"b":["x"]}]` + "\n\n" + `{"c":{}}` + "\x1e{}\n"
	want := []string{`1 {"a":"\\\"}"}`, `1 [1,{"b":["x"]}]`, `3 {"c":{}}`, `3 {}`}
	for n := 1; n < len(text); n++ {
		s := newSplitter(&slowly{text, n})
		var got []string
		for {
			document, line, err := s.next(nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%d %s", line, document))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pieces of %d (-want +got):\n%s", n, diff)
		}
	}
}

func BenchmarkFile(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		at := time.Date(2026, 3, 1, 0, 0, i, 0, time.UTC).Format("15:04:05")
		text.WriteString(hook("A", "firing", at, none) + "\n")
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		h, err := fileOf(text.String())(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range h.Alerts {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(10_000*b.N)/b.Elapsed().Seconds(), "alerts/s")
}
