package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

const (
	// A write is tried this often, and waits this long for each answer.
	commitTries   = 3
	commitTimeout = 2 * time.Second
	// commitPause is the wait after an answer that said "not now".
	commitPause = 100 * time.Millisecond
)

// JetStream's codes that matter here (server/errors.json of nats-server).
const (
	codeWrongSequence         jetstream.ErrorCode = 10071
	codeWrongSequenceConstant jetstream.ErrorCode = 10164
	codeMessageTooLarge       jetstream.ErrorCode = 10054
	codeStreamFull            jetstream.ErrorCode = 10077
	// The same write, of another server or of a try before, is under way.
	codeDuplicateInProcess jetstream.ErrorCode = 10158
)

// errTaken says that the sequence a write was to follow is not the last one.
var errTaken = errors.New("the expected sequence is not the last one")

// message is one write. id makes it recognisable when it is sent again.
type message struct {
	subject string
	id      string
	data    []byte
	header  nats.Header
	// after is the last sequence of the subject, afterStream that of the whole
	// stream; nil means any.
	after       *uint64
	afterStream *uint64
}

func (m message) options() []jetstream.PublishOpt {
	options := []jetstream.PublishOpt{jetstream.WithMsgID(m.id), jetstream.WithRetryAttempts(0)}
	if m.after != nil {
		options = append(options, jetstream.WithExpectLastSequencePerSubject(*m.after))
	}
	if m.afterStream != nil {
		options = append(options, jetstream.WithExpectLastSequence(*m.afterStream))
	}
	return options
}

// publisher writes messages and waits until they are stored.
type publisher struct{ js jetstream.JetStream }

// commit stores the message and returns its sequence. When an answer stays out
// it asks again under the same id, so the message is stored at most once. Errors
// are errTaken, [backout.ErrInvalid] for what can never be stored, and
// [backout.ErrUnavailable].
func (p publisher) commit(ctx context.Context, m message) (*jetstream.PubAck, error) {
	var failure error
	for range commitTries {
		ack, err := p.try(ctx, m)
		if err == nil {
			return ack, nil
		}
		again, err := judge(err)
		if failure = err; !again {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) && !sleep(ctx, commitPause) || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(failure, errTaken) || errors.Is(failure, backout.ErrInvalid) {
		return nil, failure
	}
	return nil, fmt.Errorf("%w: %w", backout.ErrUnavailable, failure)
}

func (p publisher) try(ctx context.Context, m message) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	header := nats.Header{}
	for key, values := range m.header {
		header[key] = values
	}
	return p.js.PublishMsg(ctx, &nats.Msg{Subject: m.subject, Header: header, Data: m.data}, m.options()...)
}

// judge turns an answer into the error to report, and says whether asking again
// may help.
func judge(err error) (again bool, _ error) {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeWrongSequence, codeWrongSequenceConstant:
			return false, errTaken
		case codeDuplicateInProcess:
			return true, err
		case codeMessageTooLarge:
			return false, fmt.Errorf("%w: %w", backout.ErrInvalid, err)
		case codeStreamFull:
			return false, fmt.Errorf("the stream is full: raise its max_bytes: %w", err)
		}
		return api.Code == 503, err
	case errors.Is(err, nats.ErrMaxPayload):
		return false, fmt.Errorf("%w: larger than the server's max_payload: %w", backout.ErrInvalid, err)
	case errors.Is(err, nats.ErrConnectionClosed):
		return false, err
	case errors.Is(err, context.DeadlineExceeded):
		return true, fmt.Errorf("no answer in time, it may have been stored: %w", err)
	}
	return !errors.Is(err, context.Canceled), err
}

// sleep waits and tells whether the whole time passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing marks an error of JetStream that waiting may cure, such as an election
// under way, and leaves any other as it is.
func passing(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.Code == 503 || api.ErrorCode == codeNoPeers), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout),
		errors.Is(err, nats.ErrNoResponders):
		return unavailable(err)
	}
	return err
}

// unavailable marks a failed read.
func unavailable(err error) error {
	if errors.Is(err, backout.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", backout.ErrUnavailable, err)
}

// next returns the first message of the subject, or of the subjects it matches,
// from the sequence on; nil when there is none. The stream's leader answers.
func next(ctx context.Context, stream jetstream.Stream, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	m, err := stream.GetMsg(ctx, max(from, 1), jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return m, nil
}
