package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

const (
	digestPrefix = "sha256:"
	outputPrefix = "output:"
	// maxChunk keeps the pieces of an artifact few, since each is synced alone.
	maxChunk = 4 << 20
)

// Artifacts keeps what is too large for a record, compressed. Its methods may be
// called from several goroutines.
type Artifacts struct {
	objects jetstream.ObjectStore
	stream  jetstream.Stream
	pub     publisher
	chunk   uint32
}

func chunkSize(js jetstream.JetStream) uint32 {
	return uint32(min(max(js.Conn().MaxPayload()/2, 64<<10), maxChunk)) //nolint:gosec // between 64 KiB and 4 MiB
}

// Put stores data under its content and returns its name, "sha256:" and the hex
// digest. What is there already is not written again.
func (a *Artifacts) Put(ctx context.Context, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	digest := digestPrefix + hex.EncodeToString(sum[:])
	_, err := a.objects.GetInfo(ctx, digest)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		err = a.store(ctx, digest, data)
	} else if err != nil {
		err = unavailable(err)
	}
	if err != nil {
		return "", fmt.Errorf("put artifact %s: %w", digest, err)
	}
	return digest, nil
}

// Get returns what was stored under the digest; [backout.ErrNotFound] when there
// is nothing. Content that does not match its name is an error.
func (a *Artifacts) Get(ctx context.Context, digest string) ([]byte, error) {
	data, err := a.load(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("get artifact %s: %w", digest, err)
	}
	if sum := sha256.Sum256(data); digest != digestPrefix+hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("get artifact %s: its content does not match: restore the store from a backup", digest)
	}
	return data, nil
}

// PutOutput stores the output of an attempt; storing it again replaces it.
func (a *Artifacts) PutOutput(ctx context.Context, attemptID string, data []byte) error {
	if err := a.store(ctx, outputPrefix+attemptID, data); err != nil {
		return fmt.Errorf("put output of %s: %w", attemptID, err)
	}
	return nil
}

// GetOutput returns the stored output of an attempt; [backout.ErrNotFound] when
// there is none.
func (a *Artifacts) GetOutput(ctx context.Context, attemptID string) ([]byte, error) {
	data, err := a.load(ctx, outputPrefix+attemptID)
	if err != nil {
		return nil, fmt.Errorf("get output of %s: %w", attemptID, err)
	}
	return data, nil
}

func (a *Artifacts) store(ctx context.Context, name string, data []byte) error {
	packed, err := compress(data)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	before, err := a.objects.GetInfo(ctx, name)
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return unavailable(err)
	}
	id := newRun()
	if err := a.write(ctx, name, id, packed); err != nil {
		_ = a.stream.Purge(ctx, jetstream.WithPurgeSubject(piecesPrefix+id)) // what is left takes room only
		return err
	}
	if before != nil {
		_ = a.stream.Purge(ctx, jetstream.WithPurgeSubject(piecesPrefix+before.NUID))
	}
	return nil
}

// zippers keeps compressors: each is most of a megabyte, and the outputs of a thousand
// targets come at once.
var zippers = sync.Pool{New: func() any {
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for unknown levels only
	return zip
}}

func compress(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	zip, ok := zippers.Get().(*gzip.Writer)
	if !ok {
		return nil, errors.New("no compressor")
	}
	defer zippers.Put(zip)
	zip.Reset(&packed)
	_, err := zip.Write(data)
	err = errors.Join(err, zip.Close())
	return packed.Bytes(), err
}

// write stores the pieces, then the record that makes them the object (ADR-20 of
// the NATS architecture). [jetstream.ObjectStore] would make a connection context
// for each object, whose goroutine may stay for ever when it is closed at once.
func (a *Artifacts) write(ctx context.Context, name, id string, packed []byte) error {
	sum := sha256.New()
	_, _ = sum.Write(packed) // never fails
	info := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: a.chunk}},
		Bucket:     artifactsBucket, NUID: id, Size: uint64(len(packed)), Digest: jetstream.GetObjectDigestValue(sum),
	}
	for piece := range slices.Chunk(packed, int(a.chunk)) {
		info.Chunks++
		if _, err := a.pub.commit(ctx, message{subject: piecesPrefix + id, id: fmt.Sprint(id, ".", info.Chunks), data: piece}); err != nil {
			return err
		}
	}
	data, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode object: %w", err)
	}
	_, err = a.pub.commit(ctx, message{
		subject: objectsPrefix + base64.URLEncoding.EncodeToString([]byte(name)), id: id, data: data,
		header: nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
	})
	return err
}

func (a *Artifacts) load(ctx context.Context, name string) ([]byte, error) {
	packed, err := a.objects.GetBytes(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound):
		return nil, backout.ErrNotFound
	case err != nil:
		return nil, unavailable(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	// gzip ends with the size; without it a buffer that grows costs several times as
	// much. A wrong one costs no more than that.
	var data bytes.Buffer
	if size := binary.LittleEndian.Uint32(packed[len(packed)-4:]); int64(size) < 1100*int64(len(packed)) {
		data.Grow(int(size) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(zip); err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return data.Bytes(), nil
}
