package e2e

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/browsertest"
)

// pictures is where "make screenshots" wants the pictures of all pages.
var pictures = flag.String("pictures", "", "a folder: TestDashboardEveryPage writes pictures of every page into it")

// pictureViews are how each page is taken, by what follows its name.
var pictureViews = map[string]browsertest.View{
	"":            {Width: 1280, Height: 800, ReducedMotion: true},
	"-dark":       {Width: 1280, Height: 800, Dark: true, ReducedMotion: true},
	"-phone":      {Width: 390, Height: 844, ReducedMotion: true},
	"-phone-dark": {Width: 390, Height: 844, Dark: true, ReducedMotion: true},
}

// pictureName is what a page is called: "rollback" for one and "rollbacks" for all.
func pictureName(address string) string {
	parts := strings.Split(strings.Trim(kindOf(address), "/"), "/")
	for i, part := range parts[1:] {
		if part == "*" {
			parts[i] = strings.TrimSuffix(parts[i], "s")
		}
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "*" })
	return cmp.Or(strings.Join(parts, "-"), "now")
}

// album is a folder of pictures; one without a folder takes none.
type album struct {
	t     *testing.T
	dir   string
	names []string
	bytes int
}

// showOpened brings what was opened on a press into view, and tells whether its button is;
// true where nothing was opened.
const showOpened = `(() => {
  const opened = document.querySelector("details.act[open]");
  opened?.scrollIntoView({block: "nearest", behavior: "instant"});
  const at = opened?.querySelector("button").getBoundingClientRect();
  return !at || at.top >= 0 && at.bottom <= innerHeight;
})()`

// take takes the page in each view.
func (a *album) take(l *look, name string) {
	a.t.Helper()
	if a.dir == "" {
		return
	}
	defer l.Emulate(browsertest.View{})
	if says := browsertest.Eval[string](l.Page, "document.body.textContent"); strings.Contains(says, a.t.Name()) {
		at := strings.Index(says, a.t.Name())
		a.t.Errorf("the picture of %s shows a path of this test: %q", name, says[max(0, at-40):min(len(says), at+80)])
	}
	for suffix, v := range pictureViews {
		l.Emulate(v)
		browsertest.Eval[any](l.Page, `scrollTo(0, 0); location.hash && document.querySelector(location.hash)?.scrollIntoView({behavior: "instant"})`)
		if seen := browsertest.Eval[bool](l.Page, showOpened); !seen {
			a.t.Errorf("the picture of %s%s does not show what was opened for it", name, suffix)
		}
		data := smaller(a.t, l.Picture())
		file := name + suffix + ".png"
		if slices.Contains(a.names, file) {
			a.t.Errorf("two pages are called %s", file)
		}
		if err := os.WriteFile(filepath.Join(a.dir, file), data, 0o644); err != nil {
			a.t.Fatal(err)
		}
		a.names, a.bytes = append(a.names, file), a.bytes+len(data)
	}
}

// closed removes pictures of pages that are no more, and wants those of the others to be
// small enough to be kept.
func (a *album) closed() {
	a.t.Helper()
	if a.dir == "" {
		return
	}
	old, err := filepath.Glob(filepath.Join(a.dir, "*.png"))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, file := range old {
		if !slices.Contains(a.names, filepath.Base(file)) && !a.t.Failed() {
			if err := os.Remove(file); err != nil {
				a.t.Error(err)
			}
		}
	}
	a.t.Logf("%d pictures, %d KiB", len(a.names), a.bytes>>10)
	if a.bytes > 3<<20 {
		a.t.Errorf("the pictures have %d bytes, want 3 MiB at most", a.bytes)
	}
}

// smaller is the picture with no more than 256 colours, its most frequent ones, which is
// all that a page has but for the edges of its letters.
func smaller(t *testing.T, data []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	often := map[color.RGBA]int{}
	size := full.Bounds()
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			often[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	colours := make([]color.RGBA, 0, len(often))
	for c := range often {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(often[b], often[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(size, palette)
	draw.Draw(few, size, full, size.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
