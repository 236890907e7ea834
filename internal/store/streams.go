package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// codeNoRoom is JetStream's answer when a stream's size is more than the server
// or the account may still promise.
const codeNoRoom jetstream.ErrorCode = 10047

// codeNoPeers is JetStream's answer while too few nodes of a cluster are there to
// keep the stream's replicas.
const codeNoPeers jetstream.ErrorCode = 10005

// ensureStream makes the stream, or checks that the one there keeps what is
// promised, and returns it. It may widen a limit; it narrows none but the age of
// alerts, and that only when asked.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, asked Options, log *slog.Logger) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, want.Name) // another server was faster
		}
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = unavailable(err) // not every node of a cluster knows yet what another has made
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", want.Name, passing(withAdvice(err)))
	}
	have := stream.CachedInfo().Config
	if err := checkStream(have, want, asked); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", want.Name, err)
	}
	changed := have
	if want.Name == alertsStream && asked.AlertsMaxBytes == 0 {
		want.MaxBytes = have.MaxBytes
	}
	if have.MaxBytes > 0 && have.MaxBytes < want.MaxBytes {
		changed.MaxBytes = want.MaxBytes
	}
	if have.MaxAge > 0 && have.MaxAge < want.MaxAge {
		changed.MaxAge = want.MaxAge
	}
	if want.Name == alertsStream && have.MaxAge > 0 {
		changed.MaxAge = have.MaxAge
		if asked.AlertsMaxAge > 0 {
			changed.MaxAge = asked.AlertsMaxAge
		}
	}
	changed.Replicas = max(have.Replicas, want.Replicas)
	if changed.MaxBytes == have.MaxBytes && changed.MaxAge == have.MaxAge && changed.Replicas == have.Replicas {
		return stream, nil
	}
	log.Info("changing the limits of a stream", "stream", want.Name, "max_bytes", changed.MaxBytes, "max_age", changed.MaxAge, "replicas", changed.Replicas)
	if stream, err = js.UpdateStream(ctx, changed); err != nil {
		return nil, fmt.Errorf("change limits of stream %s: %w", want.Name, passing(withAdvice(err)))
	}
	return stream, nil
}

// checkStream refuses a stream on which a promise of this package would not
// hold, or whose limits would have to shrink.
func checkStream(have, want jetstream.StreamConfig, asked Options) error {
	if v, err := strconv.Atoi(have.Metadata[layoutKey]); err == nil && v > layoutVersion {
		return fmt.Errorf("it was made by a newer release (layout %d, this one knows %d): use that release", v, layoutVersion)
	}
	if have.Replicas > asked.Replicas && asked.Replicas > 0 {
		return fmt.Errorf("it has %d replicas and the configuration asks for %d: ask for %d, or lower it with the nats command first", have.Replicas, asked.Replicas, have.Replicas)
	}
	if want.Name == alertsStream && asked.AlertsMaxBytes > 0 && have.MaxBytes > asked.AlertsMaxBytes {
		return fmt.Errorf("it keeps up to %d bytes and the configuration asks for %d, which would delete alerts: ask for at least as much, or lower it with the nats command first", have.MaxBytes, asked.AlertsMaxBytes)
	}
	checks := []struct {
		what string
		same bool
	}{
		{"its subjects differ", slices.Equal(have.Subjects, want.Subjects)},
		{"it is not stored in files", have.Storage == jetstream.FileStorage},
		{"its retention is not by limits", have.Retention == want.Retention},
		{"it discards the wrong end when it is full", have.Discard == want.Discard},
		{"it bounds the number of messages", have.MaxMsgs <= 0},
		{"it bounds the messages of a subject differently", max(have.MaxMsgsPerSubject, 0) == max(want.MaxMsgsPerSubject, 0)},
		{"it lets messages expire", have.MaxAge == 0 || want.MaxAge > 0},
		{"it lets single messages be deleted", have.DenyDelete || !want.DenyDelete},
		{"it answers reads from replicas that may be behind", !have.AllowDirect},
		{"it acknowledges before writing", have.PersistMode == want.PersistMode && !have.NoAck},
		{"it is sealed", !have.Sealed},
		{"it is a mirror, or has sources", have.Mirror == nil && len(have.Sources) == 0},
		{"it transforms subjects", have.SubjectTransform == nil},
	}
	for _, c := range checks {
		if !c.same {
			return fmt.Errorf("%s: it was changed from outside; put it back with the nats command, or restore it", c.what)
		}
	}
	return nil
}

func withAdvice(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeNoRoom {
		return fmt.Errorf("%w: JetStream has not that much storage to promise: raise its max_file_store or the account's limit, or ask for less", err)
	}
	return err
}
