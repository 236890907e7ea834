package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// ErrDamaged says that a file is not a whole backup.
var ErrDamaged = errors.New("the backup is cut or damaged: use another copy")

// Read hands every message to take, with the name of its stream, and returns what
// the backup holds. Only when it returns no error has take seen a whole backup as
// it was written; an error of take ends the reading and is returned.
func Read(r io.Reader, take func(stream string, m Message) error) (Contents, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return Contents{}, fmt.Errorf("read backup: %w: %w", ErrDamaged, err)
	}
	b := &reader{lines: bufio.NewReaderSize(zip, 64<<10), sum: sha256.New(), take: take}
	for !b.ended {
		if err := b.next(); err != nil {
			return Contents{}, fmt.Errorf("read backup, line %d: %w", b.number, err)
		}
	}
	if _, err := b.lines.ReadByte(); !errors.Is(err, io.EOF) {
		return Contents{}, fmt.Errorf("read backup: %w: something follows its end (%w)", ErrDamaged, err)
	}
	return b.contents, nil
}

type reader struct {
	lines    *bufio.Reader
	sum      hash.Hash
	take     func(stream string, m Message) error
	contents Contents
	number   int
	ended    bool
}

func (b *reader) next() error {
	b.number++
	data, err := b.line()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	sum := hex.EncodeToString(b.sum.Sum(nil))
	_, _ = b.sum.Write(data) // never fails
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch first := b.number == 1; {
	case first && l.Backup != nil:
		if l.Backup.Version > Version {
			return fmt.Errorf("it was written by a newer release (%s, format %d, this one reads up to %d): use that release", l.Backup.Release, l.Backup.Version, Version)
		}
		b.contents.Header = *l.Backup
	case first:
		return fmt.Errorf("%w: it does not begin as a backup does", ErrDamaged)
	case l.End != nil:
		if l.End.Sum != sum || !slices.Equal(l.End.Streams, b.contents.Streams) {
			return fmt.Errorf("%w: its checksum does not match", ErrDamaged)
		}
		b.contents.Sum, b.ended = sum, true
	case l.Stream != "":
		if slices.ContainsFunc(b.contents.Streams, func(s Stream) bool { return s.Stream == l.Stream }) {
			return fmt.Errorf("%w: stream %q begins twice", ErrDamaged, l.Stream)
		}
		b.contents.Streams = append(b.contents.Streams, Stream{Stream: l.Stream})
	case l.Message != nil && len(b.contents.Streams) > 0:
		stream := &b.contents.Streams[len(b.contents.Streams)-1]
		stream.count(*l.Message)
		return b.take(stream.Stream, *l.Message)
	default:
		return fmt.Errorf("%w: it holds what no backup does", ErrDamaged)
	}
	return nil
}

// line reads up to the next line feed.
func (b *reader) line() ([]byte, error) {
	var whole bytes.Buffer
	for {
		part, err := b.lines.ReadSlice('\n')
		whole.Write(part)
		switch {
		case err == nil:
			return whole.Bytes(), nil
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case whole.Len() > maxLine:
			return nil, errors.New("a line is too long")
		}
	}
}
