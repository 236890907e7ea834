package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"
)

func encode(posts ...Post) []byte {
	data := []byte{batchVersion}
	for _, p := range posts {
		data = appendFrame(data, p, castagnoli())
	}
	return data
}

func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var posts []Post
		size := 1
		for range rapid.IntRange(0, 5).Draw(t, "posts") {
			p := Post{
				Kind:      strings.ReplaceAll(rapid.StringN(0, 20, 200).Draw(t, "kind"), "\x00", ""),
				Signature: string(rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "signature")),
				Source:    rapid.StringN(0, 50, 1000).Draw(t, "source"),
				Body:      rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "body"),
			}
			if rapid.Bool().Draw(t, "timed") {
				p.ReceivedAt = time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "received")).UTC()
			}
			posts = append(posts, p)
			size += frameSize(p)
		}
		data := encode(posts...)
		if len(data) != size {
			t.Fatalf("%d bytes, frameSize says %d", len(data), size)
		}
		for _, stored := range [][]byte{data, packed(data, nil)} {
			got, err := readBatch(stored)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(posts, got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

func TestLikePostsArePacked(t *testing.T) {
	posts := make([]Post, 100)
	for i := range posts {
		posts[i] = Post{Kind: "webhook", Source: "am", Body: fmt.Appendf(nil, `{"labels":{"alertname":"Down","instance":"web-%d"}}`, 1000+i)}
	}
	plain := encode(posts...)
	var buffer []byte
	for range 2 {
		buffer = packed(plain, buffer)
		if buffer[0] != packedVersion || len(buffer) > len(plain)/2 {
			t.Fatalf("version %d, %d bytes of %d", buffer[0], len(buffer), len(plain))
		}
		got, err := readBatch(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(posts, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
	for n := 1; n < len(buffer); n++ {
		if _, err := readBatch(buffer[:n]); err == nil {
			t.Errorf("a packed batch cut at %d goes unnoticed", n)
		}
		bad := bytes.Clone(buffer)
		bad[n] ^= 0x10
		if got, err := readBatch(bad); err == nil && !cmp.Equal(got, posts) {
			t.Errorf("a bit flipped at %d goes unnoticed", n)
		}
	}
}

// TestWhatDoesNotPackIsStoredAsItIs, and a small batch too.
func TestWhatDoesNotPackIsStoredAsItIs(t *testing.T) {
	noise := make([]byte, 2*packFrom)
	_, _ = rand.Read(noise)
	for _, body := range [][]byte{noise, make([]byte, 100)} {
		plain := encode(Post{Kind: "webhook", Body: body})
		if got := packed(plain, nil); !bytes.Equal(got, plain) {
			t.Errorf("%d bytes became %d of version %d", len(plain), len(got), got[0])
		}
	}
}

func TestHugePackedBatchIsRefused(t *testing.T) {
	bomb := append([]byte{packedVersion}, s2.Encode(nil, make([]byte, maxBatchBytes+1))...)
	if _, err := readBatch(bomb); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%d bytes: %v", len(bomb), err)
	}
}

func TestDamagedBatchIsAnError(t *testing.T) {
	whole := encode(Post{Kind: "webhook", Source: "am", Body: []byte("one")}, Post{Kind: "v2", Body: []byte("two")})
	for i := 1; i < len(whole); i++ {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		if posts, err := readBatch(bad); err == nil {
			t.Errorf("a bit flipped at %d goes unnoticed: %v", i, posts)
		}
	}
	boundary := len(encode(Post{Kind: "webhook", Source: "am", Body: []byte("one")}))
	for n := range len(whole) {
		if _, err := readBatch(whole[:n]); err == nil && n != boundary && n != 1 {
			t.Errorf("a batch cut at %d goes unnoticed", n)
		}
	}
	whole[0] = 3
	if _, err := readBatch(whole); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a newer version: %v", err)
	}
}

func FuzzReadBatch(f *testing.F) {
	f.Add(encode())
	f.Add(encode(Post{Kind: "webhook", Source: "am", ReceivedAt: time.Unix(1, 2), Body: []byte(`{}`)}, Post{}))
	f.Add([]byte{1, 255, 255, 255, 255, 0, 0, 0, 0})
	f.Add(packed(encode(Post{Body: make([]byte, packFrom)}), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		posts, err := readBatch(data)
		if err != nil {
			return
		}
		again := encode(posts...)
		if data[0] == batchVersion && !bytes.Equal(again, data) {
			t.Errorf("read and written again: %x, was %x", again, data)
		}
		if back, err := readBatch(packed(again, nil)); err != nil || !cmp.Equal(back, posts, cmpopts.EquateEmpty()) {
			t.Errorf("packed and read again: %v %v", back, err)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"CHG0030001", "a.b", "=", "*", ">", "\x00", "é", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		tok, err := token(name)
		if err != nil {
			if name != "" && len(name)*3 <= maxToken {
				t.Errorf("token(%q): %v", name, err)
			}
			return
		}
		if strings.ContainsAny(tok, ".*> \t\r\n\x00") {
			t.Errorf("token(%q) = %q is not one subject token", name, tok)
		}
		if back, err := unescape(tok); err != nil || back != name {
			t.Errorf("unescape(%q) = %q, %v, want %q", tok, back, err, name)
		}
	})
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"CHG1", "=2E", "=", "=2", "=zz", "=2e", "a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		name, err := unescape(tok)
		if err != nil || name == "" || len(tok) > maxToken {
			return
		}
		if again, err := token(name); err != nil || unescaped(again) != name {
			t.Errorf("unescape(%q) = %q, whose token is %q, %v", tok, name, again, err)
		}
	})
}

func unescaped(tok string) string {
	name, _ := unescape(tok)
	return name
}

func TestWaitAfter(t *testing.T) {
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	for i, w := range want {
		if got := waitAfter(i+1, nil); got != w*time.Second {
			t.Errorf("waitAfter(%d) = %s, want %s", i+1, got, w*time.Second)
		}
	}
	if got := waitAfter(1_000_000, nil); got != time.Minute {
		t.Errorf("waitAfter(a million) = %s, want 1m", got)
	}
}

func TestLooseClaimsAreBounded(t *testing.T) {
	c := newClaims()
	for i := range uint64(maxLoose + 10) {
		c.settle(i+1, false, nil)
	}
	if len(c.loose) != maxLoose || len(c.order) != maxLoose {
		t.Errorf("%d batches remembered, want %d", len(c.loose), maxLoose)
	}
}
