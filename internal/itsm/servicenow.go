package itsm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
)

// ServiceNow calls an instance: change requests by the Change Management API,
// incidents by the Table API.
type ServiceNow struct{ *Client }

// Row is a record of ServiceNow by column.
type Row map[string]Cell

// Cell is one column's value, as stored and as people see it.
type Cell struct{ Value, Shown string }

// UnmarshalJSON reads {"value": …, "display_value": …} or a bare value; a value may
// be a text, a number or a truth.
func (c *Cell) UnmarshalJSON(data []byte) error {
	var both struct {
		Value json.RawMessage `json:"value"`
		Shown json.RawMessage `json:"display_value"`
	}
	if strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		if err := json.Unmarshal(data, &both); err != nil {
			return err
		}
		c.Value, c.Shown = bare(both.Value), bare(both.Shown)
		return nil
	}
	c.Value = bare(data)
	c.Shown = c.Value
	return nil
}

func bare(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}

var (
	number = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$`)
	sysID  = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
)

// IsNumber tells whether a text can be a record's number. What cannot stays out of
// queries, where ^ would begin another condition.
func IsNumber(text string) bool { return number.MatchString(text) }

// ErrNoRecord says that the system was asked and has no record of the id. It wraps
// [backout.ErrNotFound], as an address does at which there is no such system.
var ErrNoRecord = fmt.Errorf("%w", backout.ErrNotFound)

// ChangeByNumber reads a change request. None of that number wraps [ErrNoRecord]; two
// are an error, since nobody knows which is meant.
func (s ServiceNow) ChangeByNumber(ctx context.Context, number string) (Row, error) {
	if !IsNumber(number) {
		return nil, backout.Permanent(fmt.Errorf("%q cannot be the number of a change request: %w", number, backout.ErrNotFound))
	}
	var out struct{ Result []Row }
	err := s.call(ctx, request{method: http.MethodGet, path: "/api/sn_chg_rest/v1/change", out: &out, query: url.Values{
		"sysparm_query": {"number=" + number}, "sysparm_limit": {"2"},
	}})
	if err != nil {
		return nil, err
	}
	switch len(out.Result) {
	case 0:
		return nil, backout.Permanent(fmt.Errorf("change request %s: %w", number, ErrNoRecord))
	case 1:
		return out.Result[0], checkRow(out.Result[0])
	}
	return nil, backout.Permanent(fmt.Errorf("there are two change requests of the number %s", number))
}

// UpdateChange writes columns of a change request and returns it as it is then:
// what the user may not write is left as it was, without an error.
func (s ServiceNow) UpdateChange(ctx context.Context, change Row, columns map[string]string) (Row, error) {
	var out struct{ Result Row }
	err := s.call(ctx, request{
		method: http.MethodPatch, path: "/api/sn_chg_rest/v1/change/" + change["sys_id"].Value, in: columns, out: &out,
	})
	return out.Result, err
}

const incidents = "/api/now/table/incident"

// Incidents are those of a correlation id, oldest first, two at most.
func (s ServiceNow) Incidents(ctx context.Context, correlation string) ([]Row, error) {
	if strings.ContainsAny(correlation, "^\n") {
		return nil, backout.Permanent(fmt.Errorf("%q cannot be a correlation id", correlation))
	}
	var out struct{ Result []Row }
	err := s.call(ctx, request{method: http.MethodGet, path: incidents, out: &out, query: url.Values{
		"sysparm_query": {"correlation_id=" + correlation + "^ORDERBYsys_created_on"}, "sysparm_limit": {"2"},
		"sysparm_fields": {"sys_id,number,description,work_notes"}, "sysparm_display_value": {"all"},
	}})
	for _, row := range out.Result {
		if err == nil {
			err = checkRow(row)
		}
	}
	return out.Result, err
}

// CreateIncident makes an incident.
func (s ServiceNow) CreateIncident(ctx context.Context, columns map[string]string) (Row, error) {
	var out struct{ Result Row }
	err := s.call(ctx, request{
		method: http.MethodPost, path: incidents, in: columns, out: &out,
		query: url.Values{"sysparm_fields": {"sys_id,number"}, "sysparm_display_value": {"all"}},
	})
	if err == nil {
		err = checkRow(out.Result)
	}
	return out.Result, err
}

// UpdateIncident writes columns of an incident.
func (s ServiceNow) UpdateIncident(ctx context.Context, incident Row, columns map[string]string) error {
	var out struct{ Result Row }
	return s.call(ctx, request{method: http.MethodPatch, path: incidents + "/" + incident["sys_id"].Value, in: columns, out: &out})
}

// Ping tells whether change requests may be read.
func (s ServiceNow) Ping(ctx context.Context) error {
	var out struct{ Result []Row }
	return s.call(ctx, request{method: http.MethodGet, path: "/api/sn_chg_rest/v1/change", out: &out, query: url.Values{"sysparm_limit": {"1"}}})
}

// checkRow refuses an answer whose id would lead elsewhere.
func checkRow(row Row) error {
	if !sysID.MatchString(row["sys_id"].Value) {
		return backout.Permanent(fmt.Errorf("the answer has no sys_id: %w: is url the address of a ServiceNow instance", backout.ErrInvalid))
	}
	return nil
}
