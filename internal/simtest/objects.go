package simtest

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// objects keeps a goroutine of nats.go from outliving its story. In v1.55.0 Put
// starts resetPendingAcksOnReconnect (jetstream/publish.go), which reads its
// channel from a field that Put's own clean-up sets to nil; if Put ends before
// the goroutine first runs, it waits on a nil channel for ever. Time moves in a
// bubble only when every goroutine has come to rest, so a nap before the end of
// the data lets that one begin.
type objects struct{ jetstream.ObjectStore }

// ObjectStore implements [jetstream.ObjectStoreManager].
func (f *faulty) ObjectStore(ctx context.Context, bucket string) (jetstream.ObjectStore, error) {
	o, err := f.JetStream.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return objects{o}, nil
}

// Put implements [jetstream.ObjectStore].
func (o objects) Put(ctx context.Context, meta jetstream.ObjectMeta, r io.Reader) (*jetstream.ObjectInfo, error) {
	return o.ObjectStore.Put(ctx, meta, napping{r})
}

type napping struct{ io.Reader }

// Read implements [io.Reader].
func (n napping) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		time.Sleep(time.Nanosecond)
	}
	return read, err
}
