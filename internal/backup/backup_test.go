package backup_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout/internal/backup"
)

var at = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

type held struct {
	Stream  string
	Message backup.Message
}

func write(t testing.TB, messages []held) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Header{Release: "1.0", At: at})
	stream := ""
	for _, m := range messages {
		if m.Stream != stream {
			stream = m.Stream
			err = errors.Join(err, w.Begin(stream))
		}
		err = errors.Join(err, w.Add(m.Message))
	}
	if _, e := w.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	return out.Bytes()
}

func read(data []byte) (got []held, _ backup.Contents, _ error) {
	contents, err := backup.Read(bytes.NewReader(data), func(stream string, m backup.Message) error {
		got = append(got, held{stream, m})
		return nil
	})
	return got, contents, err
}

func sample() []held {
	var out []held
	for i := range 40 {
		out = append(out, held{fmt.Sprint("S", i/20), backup.Message{
			Seq: uint64(i%20) + 1, Subject: "a.b", Time: at, Header: map[string][]string{"H": {"x", "y"}}, Data: []byte(strings.Repeat(fmt.Sprint(i), 50)),
		}})
	}
	return out
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []held
		for _, stream := range []string{"A", "B", "C"} {
			for i := range rapid.IntRange(1, 5).Draw(t, "messages") {
				m := backup.Message{Seq: uint64(2*i + 1), Subject: rapid.String().Draw(t, "subject"), Time: at, Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
				if rapid.Bool().Draw(t, "has a header") {
					m.Header = map[string][]string{"K": {rapid.StringMatching("[a-z]*").Draw(t, "value")}}
				}
				want = append(want, held{stream, m})
			}
		}
		var out bytes.Buffer
		w, err := backup.NewWriter(&out, backup.Header{At: at})
		for i, m := range want {
			if i == 0 || want[i-1].Stream != m.Stream {
				err = errors.Join(err, w.Begin(m.Stream))
			}
			err = errors.Join(err, w.Add(m.Message))
		}
		wrote, e := w.Close()
		got, contents, e2 := read(out.Bytes())
		if err := errors.Join(err, e, e2); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wrote, contents); diff != "" {
			t.Errorf("contents (-written +read):\n%s", diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-written +read):\n%s", diff)
		}
	})
}

// TestCutFilesAreRefused at every byte.
func TestCutFilesAreRefused(t *testing.T) {
	whole := write(t, sample())
	for n := range whole {
		if _, _, err := read(whole[:n]); !errors.Is(err, backup.ErrDamaged) {
			t.Fatalf("cut after %d of %d bytes: %v, want ErrDamaged", n, len(whole), err)
		}
	}
}

// TestFlippedBitsAreRefused at every byte, unless they change nothing: gzip's
// header and the padding of its blocks have bits that carry nothing.
func TestFlippedBitsAreRefused(t *testing.T) {
	whole := write(t, sample())
	want, _, err := read(whole)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range whole {
		data := bytes.Clone(whole)
		data[n] ^= 1 << (n % 8)
		got, _, err := read(data)
		switch {
		case err != nil:
			refused++
		case !cmp.Equal(want, got):
			t.Fatalf("a bit flipped in byte %d of %d changed what is read", n, len(whole))
		}
	}
	if refused < len(whole)*9/10 {
		t.Errorf("%d of %d flipped bits were noticed", refused, len(whole))
	}
}

// TestChangedContentIsRefused even when gzip's own checksum fits.
func TestChangedContentIsRefused(t *testing.T) {
	zip, err := gzip.NewReader(bytes.NewReader(write(t, sample())))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(text)))
	again := func(lines ...string) []byte {
		var out bytes.Buffer
		zip := gzip.NewWriter(&out)
		_, err := io.WriteString(zip, strings.Join(lines, ""))
		if err := errors.Join(err, zip.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if _, _, err := read(again(lines...)); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	without := func(i int) []string { return append(append([]string{}, lines[:i]...), lines[i+1:]...) }
	changed := append([]string{}, lines...)
	changed[5] = strings.Replace(changed[5], `"seq":4`, `"seq":5`, 1)
	tests := map[string][]byte{
		"a line is missing": again(without(7)...), "a line is twice": again(append(lines[:3:3], lines[2:]...)...), "a number is another": again(changed...),
		"no end": again(lines[:len(lines)-1]...), "no beginning": again(lines[1:]...), "more behind the end": again(append(lines, "\n", lines[2])...), "nothing": again(),
		"not JSON": again("backup\n"), "no gzip": []byte("backup"),
	}
	for name, data := range tests {
		if _, _, err := read(data); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", name, err)
		}
	}
	_, _, err = read(again(`{"backup":{"version":9,"release":"3.0"}}` + "\n"))
	if err == nil || !strings.Contains(err.Error(), "newer release") || errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a newer format: %v", err)
	}
}

func TestStreamThatBeginsTwiceIsRefused(t *testing.T) {
	m := backup.Message{Seq: 1, Subject: "a", Time: at}
	if _, _, err := read(write(t, []held{{"A", m}, {"B", m}, {"A", m}})); !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%v", err)
	}
}

func TestTheReadersErrorIsReturned(t *testing.T) {
	own := errors.New("the caller's")
	if _, err := backup.Read(bytes.NewReader(write(t, sample())), func(string, backup.Message) error { return own }); !errors.Is(err, own) {
		t.Errorf("%v", err)
	}
}
