package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
)

// A batch is one message of the alerts stream: a version byte, then a frame for
// each post. All numbers are little-endian. In a packed batch the frames are one
// S2 block: alerts of one group are much alike, and every byte is copied and
// synced several times over.
//
//	frame   = length u32 | crc u32 | payload (length bytes)
//	payload = received i64 | kind length u8 | kind | source length u16 | source | body
//
// The kind of a signed post is followed, within its length, by a zero byte and the
// signature's id; releases that know no signatures read on.
//
// crc is CRC-32C of the payload. received is in nanoseconds since 1970 UTC; the
// smallest value means that no time was given.
const (
	batchVersion  = 1
	packedVersion = 2
	// packFrom is the size of a batch from which packing it pays, in bytes.
	packFrom      = 4 << 10
	frameOverhead = 4 + 4
	payloadFixed  = 8 + 1 + 2
	noTime        = math.MinInt64
)

// Post is the body of one request, as it came, and where it came from.
type Post struct {
	// Kind says how to read the body: "webhook" (Alertmanager's webhook) or "v2"
	// (its own API). At most 255 bytes, with the signature; none of them zero.
	Kind string
	// Signature is the id of the signature of a signed request; the log is where all
	// servers learn which there were. Empty for others.
	Signature string
	// Source is the sender, as authenticated. At most 65,535 bytes.
	Source     string
	ReceivedAt time.Time
	// Body is not copied by Append: leave it alone until Append returns.
	Body []byte
}

// frameSize returns how many bytes the post takes in a batch.
func frameSize(p Post) int {
	return frameOverhead + payloadFixed + kindSize(p) + len(p.Source) + len(p.Body)
}

// kindSize is the length of the kind with the signature's id.
func kindSize(p Post) int {
	if p.Signature == "" {
		return len(p.Kind)
	}
	return len(p.Kind) + 1 + len(p.Signature)
}

// fits says whether the post can be written down.
func fits(p Post) bool {
	return kindSize(p) <= math.MaxUint8 && len(p.Source) <= math.MaxUint16 && !strings.Contains(p.Kind, "\x00")
}

// appendFrame adds the post to a batch.
func appendFrame(b []byte, p Post, table *crc32.Table) []byte {
	head := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(frameSize(p)-frameOverhead)) //nolint:gosec // bounded by the batch size
	b = binary.LittleEndian.AppendUint32(b, 0)
	start := len(b)
	received := int64(noTime)
	if !p.ReceivedAt.IsZero() {
		received = p.ReceivedAt.UnixNano()
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(received)) //nolint:gosec // the bits are kept
	b = append(b, byte(kindSize(p)))                          //nolint:gosec // checked by fits
	b = append(b, p.Kind...)
	if p.Signature != "" {
		b = append(append(b, 0), p.Signature...)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(p.Source))) //nolint:gosec // checked by fits
	b = append(b, p.Source...)
	b = append(b, p.Body...)
	binary.LittleEndian.PutUint32(b[head+4:], crc32.Checksum(b[start:], table))
	return b
}

// castagnoli is the table of CRC-32C; the runtime keeps one and returns it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errCut = errors.New("cut short")

// packed returns the batch packed, in buffer if it is large enough; or the batch
// itself when packing does not pay.
func packed(batch, buffer []byte) []byte {
	if len(batch) < packFrom {
		return batch
	}
	if need := 1 + s2.MaxEncodedLen(len(batch)-1); cap(buffer) < need {
		buffer = make([]byte, need)
	}
	buffer = buffer[:cap(buffer)]
	buffer[0] = packedVersion
	if n := len(s2.Encode(buffer[1:], batch[1:])); 1+n < len(batch) {
		return buffer[:1+n]
	}
	return batch
}

func unpacked(data []byte) ([]byte, error) {
	if size, err := s2.DecodedLen(data); err != nil || size > maxBatchBytes {
		return nil, fmt.Errorf("unpack batch of %d bytes to %d: it is damaged", len(data), size)
	}
	frames, err := s2.Decode(nil, data)
	if err != nil {
		return nil, fmt.Errorf("unpack batch: %w", err)
	}
	return frames, nil
}

// readBatch returns the posts of a batch. Their bodies are parts of data, unless
// it is packed.
func readBatch(data []byte) ([]Post, error) {
	if len(data) == 0 {
		return nil, errCut
	}
	switch data[0] {
	case batchVersion:
		return readFrames(data[1:])
	case packedVersion:
		frames, err := unpacked(data[1:])
		if err != nil {
			return nil, err
		}
		return readFrames(frames)
	}
	return nil, fmt.Errorf("batch version %d, this release reads up to %d: use the release that wrote it, or a newer one", data[0], packedVersion)
}

func readFrames(rest []byte) ([]Post, error) {
	table := castagnoli()
	var posts []Post
	for len(rest) > 0 {
		if len(rest) < frameOverhead {
			return nil, fmt.Errorf("post %d: %w", len(posts), errCut)
		}
		length, sum := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:])
		rest = rest[frameOverhead:]
		if uint64(length) > uint64(len(rest)) {
			return nil, fmt.Errorf("post %d: %w", len(posts), errCut)
		}
		payload := rest[:length:length]
		rest = rest[length:]
		if crc32.Checksum(payload, table) != sum {
			return nil, fmt.Errorf("post %d: its checksum does not match", len(posts))
		}
		post, err := readPayload(payload)
		if err != nil {
			return nil, fmt.Errorf("post %d: %w", len(posts), err)
		}
		posts = append(posts, post)
	}
	return posts, nil
}

func readPayload(b []byte) (Post, error) {
	var p Post
	if len(b) < payloadFixed {
		return p, errCut
	}
	if received := int64(binary.LittleEndian.Uint64(b)); received != noTime { //nolint:gosec // the bits are kept
		p.ReceivedAt = time.Unix(0, received).UTC()
	}
	kind := int(b[8])
	b = b[9:]
	if len(b) < kind+2 {
		return p, errCut
	}
	p.Kind, p.Signature, _ = strings.Cut(string(b[:kind]), "\x00")
	b = b[kind:]
	source := int(binary.LittleEndian.Uint16(b))
	b = b[2:]
	if len(b) < source {
		return p, errCut
	}
	p.Source, p.Body = string(b[:source]), b[source:]
	return p, nil
}
