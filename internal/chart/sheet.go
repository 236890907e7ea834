package chart

import (
	"html/template"
	"math"
	"strconv"
	"strings"
)

const (
	widthDefault = 800
	widthLeast   = 480
	widthMost    = 2400
)

// sheet is what one picture is drawn on.
type sheet struct {
	b     strings.Builder
	id    string
	width float64
	// linked tells that there is something to follow on it.
	linked bool
	// used are the patterns that something is filled with.
	used map[string]bool
}

func newSheet(id string, width int) *sheet {
	if width == 0 {
		width = widthDefault
	}
	return &sheet{id: anchor(id), width: float64(min(max(width, widthLeast), widthMost)), used: map[string]bool{}}
}

// anchor makes an id of a word: ASCII letters, digits, - and _ are kept.
func anchor(id string) string {
	kept := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, id[:min(len(id), 64)])
	kept = strings.TrimLeft(kept, "-_0123456789")
	if kept == "" {
		return "chart"
	}
	return kept
}

// num writes a length with two decimals at most. What is no number is 0, so that a
// picture is whole whatever it was made of.
func num(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "0"
	}
	s := strings.TrimRight(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}

// open begins an element; attributes are names and values in turn.
func (s *sheet) open(name string, attributes ...string) {
	s.tag(name, attributes)
	s.b.WriteByte('>')
}

func (s *sheet) tag(name string, attributes []string) {
	s.b.WriteByte('<')
	s.b.WriteString(name)
	for i := 0; i+1 < len(attributes); i += 2 {
		s.b.WriteByte(' ')
		s.b.WriteString(attributes[i])
		s.b.WriteString(`="`)
		s.b.WriteString(escape(attributes[i+1]))
		s.b.WriteByte('"')
	}
}

func (s *sheet) end(name string) {
	s.b.WriteString("</")
	s.b.WriteString(name)
	s.b.WriteString(">\n")
}

// leaf is an element with nothing in it but a title, if that is not empty.
func (s *sheet) leaf(title, name string, attributes ...string) {
	s.tag(name, attributes)
	if title == "" {
		s.b.WriteString("/>\n")
		return
	}
	s.b.WriteByte('>')
	s.title(title)
	s.end(name)
}

func (s *sheet) title(title string) {
	s.b.WriteString("<title>")
	s.b.WriteString(escape(title))
	s.b.WriteString("</title>")
}

func (s *sheet) rect(class string, x, y, w, h float64, title string, more ...string) {
	attributes := append([]string{"x", num(x), "y", num(y), "width", num(math.Max(w, 0)), "height", num(math.Max(h, 0))}, more...)
	if class != "" {
		attributes = append([]string{"class", class}, attributes...)
	}
	s.leaf(title, "rect", attributes...)
}

func (s *sheet) line(class string, x1, y1, x2, y2 float64) {
	s.leaf("", "line", "class", class, "x1", num(x1), "y1", num(y1), "x2", num(x2), "y2", num(y2))
}

// smallText begins the classes of small text.
const smallText = "c-s"

// The ends of a text that stand at its x.
const (
	atStart  = "start"
	atMiddle = "middle"
	atEnd    = "end"
)

// text writes a text that is tidy already; a title says it in full. Where its width is
// but a guess, browsers are told to keep to it.
func (s *sheet) text(class, end string, x, y float64, text, title string) {
	if text == "" {
		return
	}
	attributes := []string{"class", class, "x", num(x), "y", num(y)}
	if end != atStart {
		attributes = append(attributes, "text-anchor", end)
	}
	if guessed(text) {
		size := textSize
		if strings.HasPrefix(class, smallText) {
			size = smallSize
		}
		attributes = append(attributes, "textLength", num(wide(text, size)), "lengthAdjust", "spacingAndGlyphs")
	}
	s.open("text", attributes...)
	if title != "" && title != text {
		s.title(title)
	}
	s.b.WriteString(escape(text))
	s.end("text")
}

// name writes a name at the left edge; what is too long for the width is shortened in
// its middle.
func (s *sheet) name(y, width float64, name string) {
	s.text("c-t c-follow", atStart, 0, y, clipMiddle(name, width, textSize), name)
}

// titled draws what is inside as one thing with a title, and as a link where the
// address is one that may be followed.
func (s *sheet) titled(href, title string, inside func()) {
	element := "g"
	if safe(href) {
		s.linked = true
		element = "a"
		s.open(element, "class", "c-link", "href", href)
	} else {
		s.open(element)
	}
	s.title(title)
	inside()
	s.end(element)
}

// picture wraps what was drawn. title and description are what is read to people who
// do not see it.
func (s *sheet) picture(height float64, title, description string) template.HTML {
	body := s.b.String()
	s.b.Reset()
	// An image hides what is in it from whoever does not see it, links too.
	role := "img"
	if s.linked {
		role = "group"
	}
	s.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "chart", "id", s.id, "role", role,
		"aria-labelledby", s.id+"-title", "aria-describedby", s.id+"-desc",
		"width", num(s.width), "height", num(height), "viewBox", "0 0 "+num(s.width)+" "+num(height))
	s.b.WriteByte('\n')
	s.open("title", "id", s.id+"-title")
	s.b.WriteString(escape(title))
	s.end("title")
	s.open("desc", "id", s.id+"-desc")
	s.b.WriteString(escape(description))
	s.end("desc")
	s.patterns()
	s.b.WriteString(body)
	s.end("svg")
	return template.HTML(s.b.String()) //nolint:gosec // every value in it went through escape
}

// escape is for text and attributes of XML, which is within what HTML asks for.
func escape(text string) string { return template.HTMLEscapeString(text) }
