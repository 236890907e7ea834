package servicenow

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsm"
	"github.com/backout-io/backout/notifier"
)

// Config is the section of a channel of type servicenow.
type Config struct {
	// URL is the instance's address.
	URL           string `json:"url" yaml:"url" required:"true" doc:"Address of the instance, such as https://example.service-now.com."`
	notifier.Auth `yaml:",inline"`
	// Record is where notices go that belong to no change request.
	Record string `json:"record,omitempty" yaml:"record,omitempty" doc:"Change request for notices that belong to none: tests, blind monitoring, changes whose id is no number."`
	// Columns renames columns of change_request.
	Columns Columns `json:"columns,omitzero" yaml:"columns,omitempty" doc:"Columns of change_request where they are not the usual ones: approval, start (start_date), end (end_date), plan (backout_plan)."`
	// Approved are the values of the approval column that count.
	Approved []string `json:"approved,omitempty" yaml:"approved,omitempty" doc:"Values of the approval column that mean approved. Default: approved."`
	// CloseCodes are the values written into close_code.
	CloseCodes CloseCodes `json:"close_codes,omitzero" yaml:"close_codes,omitempty" doc:"What close_code says of a change that ended as closed (successful), backed_out (unsuccessful), backout_failed (unsuccessful)."`
	// Incidents opens incidents, with these columns besides ours.
	Incidents       bool              `json:"incidents,omitempty" yaml:"incidents,omitempty" doc:"Open an incident when a change is red or its rollback has failed, caused by the change. Default false."`
	IncidentColumns map[string]string `json:"incident_columns,omitempty" yaml:"incident_columns,omitempty" doc:"Further columns of these incidents, such as assignment_group."`
}

// Columns are names of columns; an empty one is the usual.
type Columns struct {
	Approval string `json:"approval,omitempty" yaml:"approval,omitempty" doc:"Whether it is approved. Default approval."`
	Start    string `json:"start,omitempty" yaml:"start,omitempty" doc:"Planned start. Default start_date."`
	End      string `json:"end,omitempty" yaml:"end,omitempty" doc:"Planned end. Default end_date."`
	Plan     string `json:"plan,omitempty" yaml:"plan,omitempty" doc:"Back-out plan. Default backout_plan."`
}

// CloseCodes are values of close_code by what became of the change.
type CloseCodes struct {
	Closed        string `json:"closed,omitempty" yaml:"closed,omitempty" doc:"Nothing was rolled back. Default successful."`
	BackedOut     string `json:"backed_out,omitempty" yaml:"backed_out,omitempty" doc:"It was rolled back. Default unsuccessful."`
	BackoutFailed string `json:"backout_failed,omitempty" yaml:"backout_failed,omitempty" doc:"A rollback failed. Default unsuccessful."`
}

var column = regexp.MustCompile(`^[a-z][a-z0-9_]{0,79}$`)

// ours are columns of an incident that we write ourselves.
var ours = []string{"correlation_id", "correlation_display", "short_description", "description", "work_notes", "caused_by", "sys_id", "number"}

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if err := c.Check(c.URL); err != nil {
		return err
	}
	if c.Record != "" && !itsm.IsNumber(c.Record) {
		return fmt.Errorf("record %q is not the number of a change request, such as CHG0030001", c.Record)
	}
	for _, name := range []string{c.Columns.Approval, c.Columns.Start, c.Columns.End, c.Columns.Plan} {
		if name != "" && !column.MatchString(name) {
			return fmt.Errorf("columns: %q is not a column's name: use the one in the dictionary, such as u_backout", name)
		}
	}
	if slices.Contains(c.Approved, "") {
		return errors.New("approved holds an empty value: a change of which nothing is known would count as approved")
	}
	for name := range c.IncidentColumns {
		if !column.MatchString(name) {
			return fmt.Errorf("incident_columns: %q is not a column's name: use the one in the dictionary, such as assignment_group", name)
		}
		if slices.Contains(ours, name) {
			return fmt.Errorf("incident_columns: %q is written by backout itself", name)
		}
	}
	if len(c.IncidentColumns) > 0 && !c.Incidents {
		return errors.New("incident_columns without incidents: set incidents: true, or take them out")
	}
	return nil
}

// withDefaults fills in what the section leaves out.
func (c Config) withDefaults() Config {
	for _, d := range []struct {
		key  *string
		text string
	}{
		{&c.Columns.Approval, "approval"},
		{&c.Columns.Start, "start_date"},
		{&c.Columns.End, "end_date"},
		{&c.Columns.Plan, "backout_plan"},
		{&c.CloseCodes.Closed, "successful"},
		{&c.CloseCodes.BackedOut, "unsuccessful"},
		{&c.CloseCodes.BackoutFailed, "unsuccessful"},
	} {
		if *d.key == "" {
			*d.key = d.text
		}
	}
	if len(c.Approved) == 0 {
		c.Approved = []string{"approved"}
	}
	return c
}

// closeCode is the value for an outcome; empty for one that closes nothing.
func (c *Config) closeCode(outcome backout.ChangeState) string {
	switch outcome {
	case backout.ChangeClosed:
		return c.CloseCodes.Closed
	case backout.ChangeBackedOut:
		return c.CloseCodes.BackedOut
	case backout.ChangeBackoutFailed:
		return c.CloseCodes.BackoutFailed
	}
	return ""
}
