package chart

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/backout-io/backout/internal/hostile"
)

// poisoned are the scenes with this text in every place for text.
func poisoned(text string) map[string]picture {
	b, d, c, r, m := story(), durations(), calendar(), replayed(), packed(rowsOwn+1)
	for _, p := range []any{&b, &d, &c, &r, &m} {
		poison(reflect.ValueOf(p).Elem(), text)
	}
	return map[string]picture{"bands": b, "durations": d, "calendar": c, "packed": m, "replay": r}
}

func poison(v reflect.Value, text string) {
	if _, ok := reflect.TypeAssert[time.Time](v); ok {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		for i := range v.NumField() {
			poison(v.Field(i), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	default:
	}
}

// TestHostileTextsStayText: whatever stands in any text, also in one that comes later,
// the picture is of the same elements, leads nowhere else, and holds no character that
// moves, turns or hides what stands beside it. So are the words.
func TestHostileTextsStayText(t *testing.T) {
	for i, text := range hostile.Strings() {
		if testing.Short() && i%7 != 0 {
			continue
		}
		for name, p := range poisoned(text) {
			if name == "packed" && i%5 != 0 { // the texts of a calendar, once more
				continue
			}
			svg := string(p.SVG())
			if !fitToSee(svg) {
				t.Errorf("%s with text %d, %.40q: it holds what cannot be seen", name, i, text)
			}
			all := whole(t, svg)
			for _, e := range all {
				if href, is := e.attr["href"]; is && !safe(href) {
					t.Errorf("%s with text %d leads to %.40q", name, i, href)
				}
				if len([]rune(e.title)) > 20*longest || len([]rune(e.text)) > 20*longest {
					t.Errorf("%s with text %d, %.40q: a text of %d bytes", name, i, text, len(e.title))
				}
			}
			if got, limit := len(svg), 1<<20; got > limit {
				t.Errorf("%s with text %d, %.40q is %d bytes", name, i, text, got)
			}
			for _, w := range p.Words() {
				if !fitToSee(w) || strings.Contains(w, "\n") || len(w) > 64*longest {
					t.Errorf("%s with text %d, %.40q says %.80q", name, i, text, w)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

// fitToSee tells that a text is UTF-8 without what moves the cursor, turns the reading
// direction, or cannot be seen at all.
func fitToSee(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) ||
			unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Join_Control, r)
	}) < 0
}

// TestTextsLieApartWhateverTheyAre: also the longest names, and those of wide letters.
func TestTextsLieApartWhateverTheyAre(t *testing.T) {
	for _, text := range []string{strings.Repeat("W", 300), strings.Repeat("漢", 300), strings.Repeat("i", 300), "", "e\u0301" + strings.Repeat("\u0301", 50)} {
		for name, p := range poisoned(text) {
			apart(t, whole(t, string(p.SVG())))
			if t.Failed() {
				t.Fatalf("%s with %.20q", name, text)
			}
		}
	}
}

func TestOnlyAddressesOfThisServerAreSafe(t *testing.T) {
	for _, href := range []string{"/", "/changes/CHG1", "../changes/CHG1", "changes/CHG1?x=1#y", "?at=02:00", "#a:b", "./a:b", "x/javascript:y", "%E2%98%83"} {
		if !safe(href) {
			t.Errorf("%q is refused", href)
		}
	}
	for _, href := range []string{
		"", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil", "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)",
		"data:text/html,x", "mailto:x@evil.example", "a:b/c", "/a b", "/\"x", "/'x", "/<x", "/é", "/\x00", "/" + strings.Repeat("a", 3000),
	} {
		if safe(href) {
			t.Errorf("%.40q is safe", href)
		}
	}
	for _, href := range hostile.Strings(hostile.Link, hostile.Inside) {
		if safe(href) && (strings.Contains(href, ":") || strings.HasPrefix(href, "//")) {
			t.Errorf("%q is safe", href)
		}
	}
}

func TestTidy(t *testing.T) {
	for text, want := range map[string]string{
		"web-1": "web-1", "  a \t b\r\nc  ": "a b c", "a\x1b[31mb": "a\ufffd[31mb", "\u202eevil\u202c": "\ufffdevil\ufffd", "ze\u200bro": "ze\ufffdro", "\u3164": "\ufffd", "\xff\xfe": "\ufffd\ufffd",
		"": "", " \u00a0\u2003": "", "\u200c\u200d": "", "\u0301": "", "\U0001f468\u200d\U0001f469": "\U0001f468\u200d\U0001f469", "e\u0301\u0301\u0301\u0301": "e\u0301\u0301", "\ufffe": "\ufffd", "مرحبا": "مرحبا",
		strings.Repeat("x", 300): strings.Repeat("x", longest-1) + "…",
	} {
		if got := tidy(text); got != want {
			t.Errorf("%.40q is %.40q, want %.40q", text, got, want)
		}
	}
}

// TestLettersThatNobodyCanMeasure keep to the width that they were given.
func TestLettersThatNobodyCanMeasure(t *testing.T) {
	for name, want := range map[string]string{"web-1…": "", "\ufdfd": "13.2", "漢字": "26.4"} {
		p := Bands{From: night(1, 0), Until: night(2, 0), Rows: []Row{{Name: name}}}
		if got := texts(whole(t, string(p.SVG())), name)[0]; got.attr["textLength"] != want {
			t.Errorf("%s has the length %q, want %q", name, got.attr["textLength"], want)
		}
	}
}

func TestNamesAreShortened(t *testing.T) {
	const name = "db-0001.eu-central-1.prod.example"
	for _, width := range []float64{0, 5, 20, 60, 100, 150, 1000} {
		middle, end := clipMiddle(name, width, textSize), clip(name, width, textSize)
		for _, got := range []string{middle, end} {
			if wide(got, textSize) > width || got != name && got != "" && !strings.Contains(got, "…") {
				t.Errorf("%q in %v", got, width)
			}
		}
		if width >= 60 && (!strings.HasPrefix(middle, "db-") || !strings.HasSuffix(middle, "e")) {
			t.Errorf("%q does not keep both ends", middle)
		}
	}
}
