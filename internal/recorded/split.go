package recorded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/backout-io/backout"
)

// maxDocument bounds one JSON document of a file.
const maxDocument = 64 << 20

// splitter cuts a stream of JSON documents, one after another with white space or
// line breaks between them, without understanding them: whoever decodes a document
// finds what is wrong in it.
type splitter struct {
	r    *bufio.Reader
	line int
}

func newSplitter(r io.Reader) *splitter { return &splitter{r: bufio.NewReaderSize(r, 1<<20), line: 1} }

// next returns the next document and the line that it begins at, until [io.EOF]. The
// document is the splitter's until the next call.
func (s *splitter) next(into []byte) (document []byte, line int, err error) {
	if err := s.blank(); err != nil {
		return nil, s.line, err
	}
	line = s.line
	document = into[:0]
	depth, quoted, escaped := 0, false, false
	for {
		piece, err := s.r.Peek(max(1, s.r.Buffered()))
		if err != nil && len(piece) == 0 {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("line %d: the JSON that begins here does not end: %w", line, backout.ErrInvalid)
			}
			return nil, line, err
		}
		for i, b := range piece {
			switch {
			case quoted:
				switch {
				case escaped:
					escaped = false
				case b == '\\':
					escaped = true
				case b == '"':
					quoted = false
				}
			case b == '"':
				quoted = true
			case b == '{', b == '[':
				depth++
			case b == '}', b == ']':
				depth--
			}
			if depth > 0 {
				continue
			}
			document = append(document, piece[:i+1]...)
			s.skip(piece[:i+1])
			if b != '}' && b != ']' {
				return nil, line, fmt.Errorf("line %d: begins with %q, want JSON objects or lists, one after another: %w", line, b, backout.ErrInvalid)
			}
			return document, line, nil
		}
		document = append(document, piece...)
		s.skip(piece)
		if len(document) > maxDocument {
			return nil, line, fmt.Errorf("line %d: the JSON that begins here is larger than %d MiB: %w", line, maxDocument>>20, backout.ErrInvalid)
		}
	}
}

func (s *splitter) skip(piece []byte) {
	s.line += bytes.Count(piece, []byte{'\n'})
	_, _ = s.r.Discard(len(piece)) // it is buffered
}

// blank skips what may stand between documents.
func (s *splitter) blank() error {
	for {
		b, err := s.r.ReadByte()
		switch {
		case err != nil:
			return err
		case b == '\n':
			s.line++
		case b != ' ' && b != '\t' && b != '\r' && b != 0x1e:
			return s.r.UnreadByte()
		}
	}
}
