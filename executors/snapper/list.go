package snapper

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout/executors"
)

// The keys of userdata, by what they are on: the baseline's snapshot, what a
// rollback of / made, the snapshot right before an undochange, and the same once
// the undochange is over.
const userBaseline, userRollback, userBefore, userUndone = "backout", "backout-rollback", "backout-before", "backout-undone"

// entry is one snapshot of a config. Number 0 is what is there now.
type entry struct {
	Subvolume string            `json:"subvolume"`
	Number    int               `json:"number"`
	Default   *bool             `json:"default"`
	Active    *bool             `json:"active"`
	Type      string            `json:"type"`
	Cleanup   string            `json:"cleanup"`
	Userdata  map[string]string `json:"userdata"`
}

// isDefault tells what the next boot finds, isActive what runs now: what people see
// as + and -, and as * where they are one.
func (e entry) isDefault() bool { return e.Default != nil && *e.Default }
func (e entry) isActive() bool  { return e.Active != nil && *e.Active }

// parseJSON reads snapper --jsonout list, as snapper 0.8 to 0.10 write it.
func parseJSON(config, text string) ([]entry, error) {
	var all map[string][]entry
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("snapper's list is no JSON: %w", err)
	}
	if names := slices.Sorted(maps.Keys(all)); len(names) != 1 || names[0] != config {
		return nil, fmt.Errorf("snapper's list is of %q, not of %s", names, config)
	}
	return whole(all[config])
}

// parseCSV reads snapper --csvout list, for those that have no JSON.
func parseCSV(text string) ([]entry, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("snapper's list is no CSV: %w", errors.Join(err))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"subvolume", "number", "default", "active", "type", "cleanup", "userdata"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("snapper's list has no column %s", name)
		}
	}
	var all []entry
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[column["number"]])
		if err != nil {
			return nil, fmt.Errorf("snapper's list has the number %q", row[column["number"]])
		}
		isDefault, isActive := row[column["default"]] == "yes", row[column["active"]] == "yes"
		e := entry{
			Subvolume: row[column["subvolume"]], Number: n, Default: &isDefault, Active: &isActive, Type: row[column["type"]], Cleanup: row[column["cleanup"]], Userdata: map[string]string{},
		}
		for pair := range strings.SplitSeq(row[column["userdata"]], ",") {
			if key, value, ok := strings.Cut(pair, "="); ok {
				e.Userdata[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
		}
		all = append(all, e)
	}
	return whole(all)
}

// whole refuses lists that cannot be: each has number 0, and says which is the
// default and which is active.
func whole(all []entry) ([]entry, error) {
	zero := false
	for _, e := range all {
		zero = zero || e.Number == 0
		if e.Default == nil || e.Active == nil {
			return nil, fmt.Errorf("snapper's list does not tell of snapshot %d whether it is the default and active: snapper 0.8 or later is needed", e.Number)
		}
		if !strings.HasPrefix(e.Subvolume, "/") {
			return nil, fmt.Errorf("snapper's list does not tell of which subvolume snapshot %d is", e.Number)
		}
	}
	if !zero {
		return nil, errors.New("snapper's list does not have number 0, which is what is there now")
	}
	return all, nil
}

// with returns the snapshots that have the userdata.
func with(all []entry, key, value string) []entry {
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.Number == 0 || e.Userdata[key] != value })
}

// ofChange returns the snapshots that have the userdata of any attempt of the
// change, and of no other one whose id begins as this one does.
func ofChange(all []entry, key, change string) []entry {
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.Number == 0 || !executors.IsMark(e.Userdata[key], change) })
}
