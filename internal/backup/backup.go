// Package backup reads and writes the file of a backup. It knows no store: it
// carries messages of streams, and makes sure that all of them arrive as they were
// written.
//
// # The file
//
// A gzip'd text of JSON objects, one a line, so that zcat and jq can read it:
//
//	{"backup":{…}}                      first: format version, release, time
//	{"stream":"NAME"}                   begins a stream
//	{"message":{"seq":1,"subject":…}}   one message of it; data is base64
//	{"end":{"streams":[…],"sha256":…}}  last: what was written, and its checksum
//
// Nothing has to be known before the end, so a backup can be streamed; a file
// without its last line, or with another checksum, is cut or damaged, and [Read]
// says so.
package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// Version is the format this release writes.
const Version = 1

// maxLine is the longest line read, in bytes: a message of 16 MiB with its headers.
const maxLine = 32 << 20

// Header is the first line.
type Header struct {
	Version int `json:"version"`
	// Release is the version of backout that wrote it, Server its name.
	Release string    `json:"release,omitempty"`
	Server  string    `json:"server,omitempty"`
	At      time.Time `json:"at"`
}

// Message is one message as its stream held it.
type Message struct {
	Seq     uint64              `json:"seq"`
	Subject string              `json:"subject"`
	Time    time.Time           `json:"time"`
	Header  map[string][]string `json:"header,omitempty"`
	Data    []byte              `json:"data"`
}

// Stream says what the backup has of one stream.
type Stream struct {
	Stream string `json:"stream"`
	// First and Last are sequences; both are 0 when there is no message.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Count uint64 `json:"count"`
	Bytes uint64 `json:"bytes"`
}

// Contents are what a backup says of itself.
type Contents struct {
	Header  Header   `json:"header"`
	Streams []Stream `json:"streams"`
	// Sum is the SHA-256 of every line before the last.
	Sum string `json:"sha256"`
}

type end struct {
	Streams []Stream `json:"streams"`
	Sum     string   `json:"sha256"`
}

type line struct {
	Backup  *Header  `json:"backup,omitempty"`
	Stream  string   `json:"stream,omitempty"`
	Message *Message `json:"message,omitempty"`
	End     *end     `json:"end,omitempty"`
}

// Writer writes one backup.
type Writer struct {
	below    *bufio.Writer // gzip writes a few hundred bytes at a time
	zip      *gzip.Writer
	out      *bufio.Writer
	sum      hash.Hash
	contents Contents
}

// NewWriter begins a backup; only [Writer.Close] makes it whole.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Version = Version
	below := bufio.NewWriterSize(w, 64<<10)
	zip, err := gzip.NewWriterLevel(below, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("write backup: %w", err)
	}
	b := &Writer{below: below, zip: zip, out: bufio.NewWriterSize(zip, 64<<10), sum: sha256.New(), contents: Contents{Header: h}}
	return b, b.line(line{Backup: &h})
}

func (b *Writer) line(l line) error {
	data, err := json.Marshal(l)
	if err == nil {
		data = append(data, '\n')
		_, _ = b.sum.Write(data) // never fails
		_, err = b.out.Write(data)
	}
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

// Begin begins a stream; the messages that follow belong to it.
func (b *Writer) Begin(stream string) error {
	b.contents.Streams = append(b.contents.Streams, Stream{Stream: stream})
	return b.line(line{Stream: stream})
}

// Add writes the next message of the stream.
func (b *Writer) Add(m Message) error {
	b.contents.Streams[len(b.contents.Streams)-1].count(m)
	return b.line(line{Message: &m})
}

func (s *Stream) count(m Message) {
	if s.Count == 0 {
		s.First = m.Seq
	}
	s.Last = m.Seq
	s.Count++
	s.Bytes += uint64(len(m.Data))
}

// Close writes the end and returns what the backup holds. It does not close the
// writer below.
func (b *Writer) Close() (Contents, error) {
	b.contents.Sum = hex.EncodeToString(b.sum.Sum(nil))
	err := b.line(line{End: &end{b.contents.Streams, b.contents.Sum}})
	if err = errors.Join(err, b.out.Flush(), b.zip.Close(), b.below.Flush()); err != nil {
		return Contents{}, fmt.Errorf("write backup: %w", err)
	}
	return b.contents, nil
}
