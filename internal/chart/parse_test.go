package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// teller is a test of [testing] or of rapid.
type teller interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// element is one element of a picture, as a parser of XML reads it.
type element struct {
	name string
	attr map[string]string
	// text is its own, title that of its title.
	text, title string
	within      []string
	linked      bool
}

func (e *element) num(t teller, name string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(e.attr[name], 64)
	if err != nil {
		t.Fatalf("%s %s: %v", e.name, name, err)
	}
	return f
}

func (e *element) is(class string) bool {
	return slices.Contains(strings.Fields(e.attr["class"]), class)
}

// parsed reads a picture strictly.
func parsed(t teller, svg string) []*element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	var all, open []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(all) == 0 || all[0].name != "svg" {
				t.Fatal("no picture")
			}
			return all
		}
		if err != nil {
			t.Fatalf("no XML: %v in %.300s", err, svg)
		}
		switch k := token.(type) {
		case xml.StartElement:
			e := &element{name: k.Name.Local, attr: map[string]string{}}
			for _, o := range open {
				e.within = append(e.within, o.name)
				e.linked = e.linked || o.name == "a"
			}
			for _, a := range k.Attr {
				if _, twice := e.attr[a.Name.Local]; twice {
					t.Errorf("%s has %s twice", e.name, a.Name.Local)
				}
				e.attr[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			n := len(open)
			switch {
			case n == 0:
			case open[n-1].name == "title" && n > 1:
				open[n-2].title = string(k)
				fallthrough
			default:
				open[n-1].text += string(k)
			}
		default:
			t.Errorf("a %T in a picture", k)
		}
	}
}

// find returns the elements of this name whose title holds the words.
func find(all []*element, name, title string) []*element {
	var list []*element
	for _, e := range all {
		if e.name == name && strings.Contains(e.title, title) {
			list = append(list, e)
		}
	}
	return list
}

// elements and attributes are all that a picture may be made of.
var (
	elements   = strings.Fields("svg title desc defs pattern g a rect line circle polygon path text")
	attributes = strings.Fields("xmlns class id role aria-labelledby aria-describedby aria-label aria-hidden width height viewBox x y x1 y1 x2 y2 cx cy r rx points d fill href text-anchor textLength lengthAdjust patternUnits")
)

// whole checks what holds for every picture: it is made of what it may be made of,
// every reference leads to something in it, and every number is within it.
func whole(t teller, svg string) []*element {
	t.Helper()
	all := parsed(t, svg)
	root := all[0]
	w, h := root.num(t, "width"), root.num(t, "height")
	if want := "0 0 " + num(w) + " " + num(h); root.attr["viewBox"] != want {
		t.Errorf("viewBox %q, want %q", root.attr["viewBox"], want)
	}
	ids := map[string]bool{}
	for _, e := range all {
		if !slices.Contains(elements, e.name) {
			t.Errorf("an element %s", e.name)
		}
		for name := range e.attr {
			if !slices.Contains(attributes, name) {
				t.Errorf("%s has an attribute %s", e.name, name)
			}
		}
		if id := e.attr["id"]; id != "" {
			if ids[id] || !strings.HasPrefix(id, root.attr["id"]) {
				t.Errorf("the id %s is there twice, or without its prefix", id)
			}
			ids[id] = true
		}
		if !slices.Contains(e.within, "pattern") {
			inside(t, e, w, h)
		}
	}
	for _, e := range all {
		for _, name := range []string{"fill", "aria-labelledby", "aria-describedby"} {
			if ref := strings.TrimSuffix(strings.TrimPrefix(e.attr[name], "url(#"), ")"); ref != "" && !ids[ref] {
				t.Errorf("%s: %s %s leads nowhere", e.name, name, ref)
			}
		}
	}
	return all
}

// inside checks that an element lies within the picture.
func inside(t teller, e *element, w, h float64) {
	t.Helper()
	in := func(x, y float64) {
		const tolerance = 0.02
		if !(x >= -tolerance && x <= w+tolerance && y >= -tolerance && y <= h+tolerance) {
			t.Errorf("%s %v lies outside of %v × %v", e.name, e.attr, w, h)
		}
	}
	switch e.name {
	case "rect":
		x, y := e.num(t, "x"), e.num(t, "y")
		in(x, y)
		in(x+e.num(t, "width"), y+e.num(t, "height"))
	case "line":
		in(e.num(t, "x1"), e.num(t, "y1"))
		in(e.num(t, "x2"), e.num(t, "y2"))
	case "circle":
		x, y, r := e.num(t, "cx"), e.num(t, "cy"), e.num(t, "r")
		in(x-r, y-r)
		in(x+r, y+r)
	case "polygon":
		for _, p := range strings.Fields(e.attr["points"]) {
			x, y, _ := strings.Cut(p, ",")
			in(number(t, x), number(t, y))
		}
	case "path":
		x, y := 0.0, 0.0
		for _, step := range steps(e.attr["d"]) {
			switch args := strings.Fields(step[1:]); step[0] {
			case 'M', 'L':
				x, y = number(t, args[0]), number(t, args[1])
			case 'h':
				x += number(t, args[0])
			case 'v':
				y += number(t, args[0])
			case 'z':
			default:
				t.Errorf("path step %q", step)
			}
			in(x, y)
		}
	case "text":
		b := boxOf(t, e)
		in(b.x0, b.y0)
		in(b.x1, b.y1)
	}
}

func number(t teller, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// steps splits the path at its letters.
func steps(path string) []string {
	var list []string
	for _, r := range path {
		if r >= 'A' {
			list = append(list, "")
		}
		list[len(list)-1] += string(r)
	}
	return list
}

// box is where a text is.
type box struct {
	x0, y0, x1, y1 float64
	text           string
}

func boxOf(t teller, e *element) box {
	t.Helper()
	size := textSize
	if e.is("c-s") {
		size = smallSize
	}
	x, y, w := e.num(t, "x"), e.num(t, "y"), wide(e.text, size)
	switch e.attr["text-anchor"] {
	case atMiddle:
		x -= w / 2
	case atEnd:
		x -= w
	}
	return box{x, y - 0.75*size, x + w, y + 0.2*size, e.text}
}

// apart checks that no text lies upon another, and none leaves the picture.
func apart(t teller, all []*element) {
	t.Helper()
	var boxes []box
	for _, e := range all {
		if e.name == "text" {
			boxes = append(boxes, boxOf(t, e))
		}
	}
	slices.SortFunc(boxes, func(a, b box) int { return int(a.y0 - b.y0) })
	for i, a := range boxes {
		for _, b := range boxes[i+1:] {
			if b.y0 > a.y1+2 {
				break
			}
			if a.x0 < b.x1-0.1 && b.x0 < a.x1-0.1 && a.y0 < b.y1-0.1 && b.y0 < a.y1-0.1 {
				t.Errorf("%q lies upon %q", a.text, b.text)
			}
		}
	}
}
