package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/backout-io/backout"
)

// readWhole reads a file, or for "-" standard input, whole.
func (p *program) readWhole(name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(p.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	return data, nil
}

// readChanges reads one change, a list of them, or what "change list" prints.
func (p *program) readChanges(name string) ([]backout.Change, error) {
	data, err := p.readWhole(name)
	if err != nil {
		return nil, err
	}
	changes, err := decodeChanges(data)
	if err == nil && slices.ContainsFunc(changes, func(c backout.Change) bool { return c.ID == "" }) {
		err = fmt.Errorf("%w: one of them has no id", backout.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("read changes: %s: %w", name, err)
	}
	return changes, nil
}

// decodeChanges reads one change, a list of them, or a list as the API gives it.
func decodeChanges(raw []byte) ([]backout.Change, error) {
	var items struct {
		Items []backout.Change `json:"items"`
	}
	if err := json.Unmarshal(raw, &items); err == nil && items.Items != nil {
		return items.Items, nil
	}
	var list []backout.Change
	if err := json.Unmarshal(raw, &list); err == nil {
		return list, nil
	}
	var one backout.Change
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, fmt.Errorf("%w: %w", backout.ErrInvalid, err)
	}
	if one.ID == "" {
		return nil, fmt.Errorf("%w: no change with an id in it", backout.ErrInvalid)
	}
	return []backout.Change{one}, nil
}
