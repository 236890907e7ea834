package ui

import (
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/hostile"
)

// filled returns a T whose every text is this one, and whose every list and pointer
// holds something.
func filled[T any](text string) T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), text, 8)
	return v
}

func fill(v reflect.Value, text string, depth int) {
	if t, ok := reflect.TypeAssert[time.Time](v); ok && t.IsZero() {
		v.Set(reflect.ValueOf(now))
		return
	}
	if depth == 0 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text, depth-1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text, depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text, depth-1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text, depth-1)
		fill(value, text, depth-1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	default:
	}
}

// contents are a page of each kind, with one text wherever there is room for one.
var contents = map[string]func(text string) Content{
	"changes":   func(text string) Content { return filled[Changes](text) },
	"change":    func(text string) Content { return filled[Change](text) },
	"readiness": func(text string) Content { return filled[Readiness](text) },
	"now":       func(text string) Content { return filled[Now](text) },
	"failed":    func(text string) Content { return filled[Failed](text) },
	"drift":     func(text string) Content { return filled[Drift](text) },
	"settings":  func(text string) Content { return filled[Settings](text) },
	"login":     func(text string) Content { return filled[Login](text) },
	"account":   func(text string) Content { return filled[Account](text) },
	"record":    func(text string) Content { return filled[Record](text) },
	"rollbacks": func(text string) Content { return filled[Rollbacks](text) },
	"rollback": func(text string) Content {
		page := filled[Rollback](text)
		page.Card.Rollback.Ask.Level = 0 // the one that there is
		return page
	},
	"rules":   func(text string) Content { return filled[Rules](text) },
	"rule":    func(text string) Content { return filled[RulePage](text) },
	"explain": func(text string) Content { return filled[Explain](text) },
	"replay": func(text string) Content {
		page := filled[Replay](text)
		page.Result.Picture = chart.Replay{} // which leaves out what does not fit; package chart tries it
		return page
	},
	"link": func(text string) Content { return filled[Link](text) },
}

// TestEveryPageIsHere: a page that comes later is tried with hostile texts too.
func TestEveryPageIsHere(t *testing.T) {
	for file := range pages {
		name := strings.TrimSuffix(file, ".html")
		if page := contents[name]; page == nil || page("x").Page() != name {
			t.Errorf("page %s is not among the contents of this test", name)
		}
	}
}

// TestHostileTextsStayTextOnEveryPage: whatever stands in any field, also in one that
// comes later, makes no element, no attribute and no character that turns or hides
// what stands beside it.
func TestHostileTextsStayTextOnEveryPage(t *testing.T) {
	for name, content := range contents {
		for kind, write := range map[string]func(io.Writer, Frame, Content) error{"page": Write, "live": WriteLive} {
			show := func(text string) string {
				frame := filled[Frame](text)
				frame.Here = "now"
				var out strings.Builder
				if err := write(&out, frame, content(text)); err != nil {
					t.Fatalf("%s %s with %.40q: %v", kind, name, text, err)
				}
				return out.String()
			}
			const harmless = "harmlessly"
			clean := show(harmless)
			if strings.Count(clean, harmless) < 4 {
				t.Errorf("%s %s shows nothing: %s", kind, name, clean)
			}
			texts := inFew(hostile.Strings())
			if kind == "live" {
				texts = texts[:3] // the same templates without the head
			}
			for i, text := range texts {
				body := show(text)
				if !utf8.ValidString(body) {
					t.Errorf("%s %s, text %d %.40q: no UTF-8", kind, name, i, text)
				}
				if at := strings.IndexFunc(body, unfit); at >= 0 {
					t.Errorf("%s %s, text %d %.40q: it holds %q", kind, name, i, text, body[max(0, at-20):at+4])
				}
				for _, mark := range []string{"<", ">", `"`} {
					if got, want := strings.Count(body, mark), strings.Count(clean, mark); got != want {
						t.Errorf("%s %s, text %d %.40q: %d %s, want %d", kind, name, i, text, got, mark, want)
					}
				}
			}
		}
	}
}

// inFew joins texts, so that a page need not be written for each: but for those that mean
// something by how they begin.
func inFew(all []string) (few []string) {
	const each = 4
	var some []string
	for _, text := range all {
		if scheme.MatchString(text) {
			few = append(few, text)
			continue
		}
		if some = append(some, text); len(some) == each {
			few, some = append(few, strings.Join(some, " ")), nil
		}
	}
	return append(few, strings.Join(some, " "))
}

var scheme = regexp.MustCompile(`^\W*[a-zA-Z]+:`)

func unfit(r rune) bool {
	if ' ' <= r && r <= '~' {
		return false // nearly all of a page, and looking is what this test spends its time with
	}
	return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) || unicode.Is(unicode.Bidi_Control, r)
}
