package browsertest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/browsertest"
)

// TestAccessible: each thing that shuts somebody out is found, and names its place.
func TestAccessible(t *testing.T) {
	for name, c := range map[string]struct{ page, rule, place string }{
		"as it should be":    {`<label>Reason <input name="reason"></label>`, "", ""},
		"no label":           {`<input id="reason">`, "label (critical)", "#reason"},
		"no name":            {`<button id="hold"></button>`, "button-name (critical)", "#hold"},
		"low contrast":       {`<style nonce="x">#p{color:#aaa;background:#fff}</style><p id="p">who reads this</p>`, "color-contrast (serious)", "#p"},
		"low, one character": {`<style nonce="x">#p{color:#bbb;background:#fff}</style><p id="p">x</p>`, "contrast 1.91, want 4.5", "#p"},
		"small target":       {`<style nonce="x">a{display:inline-block;width:9px;height:9px;font-size:9px}</style><p><a href="/1">a</a><a href="/2">b</a></p>`, "target-size (serious)", "a"},
		"good practice":      {`<h4 id="far">far down</h4>`, "heading-order (moderate)", "#far"},
	} {
		t.Run(name, func(t *testing.T) {
			url := site(t, map[string]string{"/": c.page})
			failed, said := verdict(t, func(t testing.TB) {
				p := browsertest.Open(t, url)
				p.Go("/")
				browsertest.Accessible(t, p)
			})
			if failed != (c.rule != "") || !strings.Contains(said, c.rule) || !strings.Contains(said, c.place) {
				t.Errorf("want %q at %q, it said:\n%s", c.rule, c.place, said)
			}
		})
	}
}

// TestAccessibleInTheDark: what is judged is what the person sees.
func TestAccessibleInTheDark(t *testing.T) {
	url := site(t, map[string]string{"/": `<style nonce="x">:root{color-scheme:light dark}@media(prefers-color-scheme:dark){p{color:#333}}</style><p>dim</p>`})
	for _, dark := range []bool{false, true} {
		failed, said := verdict(t, func(t testing.TB) {
			p := browsertest.Open(t, url)
			p.Emulate(browsertest.View{Dark: dark})
			p.Go("/")
			browsertest.Accessible(t, p)
		})
		if failed != dark || dark != strings.Contains(said, "color-contrast") {
			t.Errorf("dark %v:\n%s", dark, said)
		}
	}
}

// TestFitsWidth names what makes a page move sideways.
func TestFitsWidth(t *testing.T) {
	url := site(t, map[string]string{"/": `<style nonce="x">p{width:400px}div{overflow-x:auto}</style><p id="wide">x</p><div><p id="within">y</p></div>`})
	for width, wrong := range map[int]bool{360: true, 1280: false} {
		failed, said := verdict(t, func(t testing.TB) {
			p := browsertest.Open(t, url)
			p.Emulate(browsertest.View{Width: width, Height: 800})
			p.Go("/")
			browsertest.FitsWidth(t, p)
		})
		if failed != wrong || wrong != strings.Contains(said, `id="wide"`) || strings.Contains(said, "within") {
			t.Errorf("%d px: %s", width, said)
		}
	}
}

// TestAxeIsWhatItSays: the file is the one that its README names.
func TestAxeIsWhatItSays(t *testing.T) {
	readme, err := os.ReadFile("testdata/axe/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"axe.min.js", "LICENSE"} {
		data, err := os.ReadFile("testdata/axe/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); !strings.Contains(string(readme), "| "+name+" | "+hex.EncodeToString(sum[:])+" |") {
			t.Errorf("%s has the sum %x, which its README does not name", name, sum)
		}
	}
}
