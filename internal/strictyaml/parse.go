package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"github.com/backout-io/backout"
)

const (
	// MaxBytes is the largest file that is read.
	MaxBytes = 4 << 20
	// MaxDepth is how deep lists and mappings may nest.
	MaxDepth = 64
	// maxTokens bounds the parser's memory; 10,000 inventory targets take 240,000.
	maxTokens = 1_000_000
	// maxKeys bounds one mapping: the parser's time grows with its square.
	maxKeys = 10_000
	// maxEmpty bounds values left empty: each makes the parser move its tokens.
	maxEmpty = 2_000
	// maxAliasCost bounds what aliases unfold to, counted as 16 a value plus the
	// bytes of its text.
	maxAliasCost = 32 << 20
)

// Parse reads data as one YAML document. The problems are those that leave
// nothing to decode; [Document.Decode] returns all others. A document that is
// empty is fine: it decodes into anything and changes nothing.
func Parse(file string, data []byte) (*Document, backout.Problems) {
	doc := &Document{file: file}
	if p := doc.checkBytes(data); p != nil {
		return nil, backout.Problems{*p}
	}
	doc.source = bytes.TrimPrefix(data, []byte("\ufeff"))
	parsed, p := doc.parse()
	if p != nil {
		return nil, backout.Problems{*p}
	}
	conv := converter{doc: doc, anchors: map[string]*node{}, open: map[string]bool{}}
	for _, d := range parsed.Docs {
		conv.document(d)
	}
	return doc, nil
}

// parse turns a panic of the parser into a problem: a file that it cannot cope
// with must not end a running server.
func (d *Document) parse() (parsed *ast.File, problem *backout.Problem) {
	defer func() {
		if r := recover(); r != nil {
			p := Pos{File: d.file}.Problem(fmt.Sprintf("the YAML parser failed: %v", r), "write it more plainly")
			parsed, problem = nil, &p
		}
	}()
	tokens := lexer.Tokenize(string(d.source))
	if p := checkBounds(d.file, tokens); p != nil {
		return nil, p
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		p := d.syntaxProblem(err)
		return nil, &p
	}
	return parsed, nil
}

func (d *Document) syntaxProblem(err error) backout.Problem {
	pos, what := Pos{File: d.file}, err.Error()
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		what = syntax.Message
		if syntax.Token != nil && syntax.Token.Position != nil {
			pos.Line, pos.Column = syntax.Token.Position.Line, max(1, syntax.Token.Position.Column)
		}
	}
	if strings.Contains(what, "\t") {
		return pos.Problem("not YAML: a tab where spaces belong", "indent with spaces")
	}
	return pos.Problem("not YAML: "+what, "check indentation, quotes and brackets here and just above")
}

// checkBytes refuses what no YAML file may hold, before the lexer sees it.
func (d *Document) checkBytes(data []byte) *backout.Problem {
	at := func(offset int, what, fix string) *backout.Problem {
		head := data[:offset]
		start := bytes.LastIndexByte(head, '\n') + 1
		p := Pos{d.file, bytes.Count(head, []byte{'\n'}) + 1, utf8.RuneCount(head[start:]) + 1}.Problem(what, fix)
		return &p
	}
	if len(data) > MaxBytes {
		p := Pos{File: d.file}.Problem(fmt.Sprintf("the file is larger than %d MiB", MaxBytes>>20), "split it into several")
		return &p
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return at(i, "not UTF-8 text", "save the file as UTF-8")
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return at(i, fmt.Sprintf("control character %U", r), `remove it, or write it as "\x..." in double quotes`)
		}
		i += size
	}
	return nil
}
