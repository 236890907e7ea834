package backout

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// RecordVersion is the schema version this release writes.
const RecordVersion = 1

// Record is one entry of a log: the events of one transition, which became true
// together or not at all.
type Record struct {
	// Op identifies the transition, so that a writer whose append had no clear
	// answer can tell whether it is the one that stands there.
	Op string
	// By is the server that wrote it.
	By string
	// At is when it happened: the time of every event in it.
	At     time.Time
	Events []Event
}

type recordJSON struct {
	V      int         `json:"v"`
	Op     string      `json:"op"`
	By     string      `json:"by,omitempty"`
	At     time.Time   `json:"at"`
	Events []eventJSON `json:"events"`
}

type eventJSON struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

// MarshalJSON writes the record with its schema version.
func (r Record) MarshalJSON() ([]byte, error) {
	out := recordJSON{V: RecordVersion, Op: r.Op, By: r.By, At: r.At, Events: make([]eventJSON, len(r.Events))}
	for i, e := range r.Events {
		data, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encode event %s: %w", e.Kind(), err)
		}
		out.Events[i] = eventJSON{Kind: e.Kind(), Data: data}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a record. One written by a newer version, or holding an
// event this version does not know, is refused: acting on half a history is
// worse than not acting.
func (r *Record) UnmarshalJSON(data []byte) error {
	var in recordJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("decode record: %w", err)
	}
	if in.V < 1 || in.V > RecordVersion {
		return fmt.Errorf("decode record: schema version %d, this release reads up to %d: use the release that wrote it, or a newer one", in.V, RecordVersion)
	}
	rec := Record{Op: in.Op, By: in.By, At: in.At, Events: make([]Event, len(in.Events))}
	for i, e := range in.Events {
		prototype := prototypes[e.Kind]
		if prototype == nil {
			return fmt.Errorf("decode record: event %q is not known to this release: use the release that wrote it, or a newer one", e.Kind)
		}
		if len(e.Data) == 0 || string(e.Data) == "null" {
			return fmt.Errorf("decode event %s: no data, want a JSON object: %w", e.Kind, ErrInvalid)
		}
		into := reflect.New(reflect.TypeOf(prototype))
		if err := json.Unmarshal(e.Data, into.Interface()); err != nil {
			return fmt.Errorf("decode event %s: %w", e.Kind, err)
		}
		event, ok := into.Elem().Interface().(Event)
		if !ok {
			return fmt.Errorf("decode event %s: not an event", e.Kind)
		}
		rec.Events[i] = event
	}
	*r = rec
	return nil
}

// prototypes finds an empty event by its kind.
var prototypes = func() map[string]Event {
	byKind := map[string]Event{}
	for _, e := range Events() {
		byKind[e.Kind()] = e
	}
	return byKind
}()

// Events returns one empty value of every event there is, for decoders and
// generated documentation.
func Events() []Event {
	return []Event{
		Opened{},
		Asked{},
		Voted{},
		Answered{},
		VoteRefused{},
		ApprovalVoided{},
		GlassBroken{},
		Reviewed{},
		LastCall{},
		ChannelsDown{},
		ChannelsUp{},
		LevelEntered{},
		StepRequested{},
		StepStarted{},
		StepTakenOver{},
		ClockStarted{},
		StepDone{},
		StepFailed{},
		StepInDoubt{},
		DoubtResolved{},
		StopRequested{},
		LevelOverdue{},
		VerifyStarted{},
		TargetGreen{},
		TargetRed{},
		TargetBack{},
		LevelFailed{},
		HeldBack{},
		Released{},
		Paused{},
		Resumed{},
		EvidenceAdded{},
		AbortRequested{},
		Ended{},
		Planned{},
		GateRefused{},
		GateRepeated{},
		GatePassed{},
		BaselineBegan{},
		BaselineCaptured{},
		BaselineFailed{},
		DeltaCaptured{},
		ReadinessChanged{},
		WindowOpened{},
		WindowExtended{},
		PatchStarted{},
		PatchEnded{},
		TargetsPatched{},
		WatchStarted{},
		RollbackRequested{},
		RollbackEnded{},
		VerdictGiven{},
		RuleJudged{},
		ChangeEnded{},
	}
}
