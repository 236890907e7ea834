package itsmfake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ServiceNow plays an instance. It is an [http.Handler]. Serve the rest of its
// methods from any goroutine.
type ServiceNow struct {
	core
	// Any makes a change request of every number that is asked for.
	Any bool

	changes   map[string]*Row
	incidents []*Row
	// closed are columns that nobody may write: what is written there is ignored, as
	// an instance's rules do.
	closed []string
	// Longest is how many characters a column holds; what is longer is cut, as the
	// dictionary's max_length does. 0 is any number.
	Longest int
	mux     *http.ServeMux
}

// Row is one record: its columns, and its work notes, oldest first.
type Row struct {
	Columns map[string]string
	Notes   []string
}

// NewServiceNow makes an instance whose user, client and token have this secret.
func NewServiceNow(secret string) *ServiceNow {
	s := &ServiceNow{core: core{secret: secret, tokens: map[string]bool{}}, changes: map[string]*Row{}, mux: http.NewServeMux()}
	// "OAuth 2.0 client credentials" of the instance's documentation.
	s.mux.HandleFunc("POST /oauth_token.do", s.giveToken)
	// "Change Management API", GET and PATCH /sn_chg_rest/{api_version}/change.
	s.mux.HandleFunc("GET /api/sn_chg_rest/v1/change", s.private(s.findChanges))
	s.mux.HandleFunc("PATCH /api/sn_chg_rest/v1/change/{sys_id}", s.private(s.patchChange))
	// "Table API", /now/table/{tableName}.
	s.mux.HandleFunc("GET /api/now/table/incident", s.private(s.findIncidents))
	s.mux.HandleFunc("POST /api/now/table/incident", s.private(s.postIncident))
	s.mux.HandleFunc("PATCH /api/now/table/incident/{sys_id}", s.private(s.patchIncident))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *ServiceNow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.enter(w, r) {
		s.mux.ServeHTTP(w, r)
	}
}

// Handler is the instance without its faults.
func (s *ServiceNow) Handler() http.Handler { return s.mux }

func (s *ServiceNow) private(fn http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.known(r) {
			s.fails(w, http.StatusUnauthorized, "User Not Authenticated")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		fn(w, r)
	}
}

// fails answers as the Table API does.
func (*ServiceNow) fails(w http.ResponseWriter, status int, what string) {
	answer(w, status, map[string]any{"error": map[string]string{"message": what, "detail": ""}, "status": "failure"})
}

// AddChange makes a change request. Columns that are not given are those of one that
// is new and not approved.
func (s *ServiceNow) AddChange(number string, columns map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(number, columns)
}

func (s *ServiceNow) add(number string, columns map[string]string) *Row {
	row := &Row{Columns: map[string]string{
		"number": number, "sys_id": id("change", number), "state": "-5", "active": "true", "approval": "not requested",
		"start_date": "", "end_date": "", "backout_plan": "", "close_code": "", "close_notes": "", "short_description": "",
	}}
	maps.Copy(row.Columns, columns)
	key := number
	for s.changes[key] != nil {
		key += "'" // a second one of the same number
		row.Columns["sys_id"] = id("change", key)
	}
	s.changes[key] = row
	return row
}

// Set writes columns of a change request, as a person does there.
func (s *ServiceNow) Set(number string, columns map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.changes[number].Columns, columns)
}

// Change returns a change request as it stands; empty when there is none.
func (s *ServiceNow) Change(number string) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes[number].copy()
}

// Close lets the API ignore what is written into the columns.
func (s *ServiceNow) Close(columns ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = columns
}

// Incidents returns every incident, oldest first.
func (s *ServiceNow) Incidents() []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Row, len(s.incidents))
	for i, row := range s.incidents {
		out[i] = row.copy()
	}
	return out
}

// AddIncident makes an incident beside those that were asked for.
func (s *ServiceNow) AddIncident(columns map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newIncident(columns)
}

// Take returns every work note of every change request and forgets them.
func (s *ServiceNow) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, number := range slices.Sorted(maps.Keys(s.changes)) {
		out = append(out, s.changes[number].Notes...)
		s.changes[number].Notes = nil
	}
	return out
}

func (r *Row) copy() Row {
	if r == nil {
		return Row{}
	}
	return Row{Columns: maps.Clone(r.Columns), Notes: slices.Clone(r.Notes)}
}

func id(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + name))
	return hex.EncodeToString(sum[:16])
}

// conditions reads an encoded query of equations and an order; anything else is a
// mistake, or somebody's text that became part of the query.
func conditions(query string) (map[string]string, bool) {
	out := map[string]string{}
	for part := range strings.SplitSeq(query, "^") {
		if strings.HasPrefix(part, "ORDERBY") {
			continue
		}
		column, value, ok := strings.Cut(part, "=")
		if !ok || out[column] != "" {
			return nil, false
		}
		out[column] = value
	}
	return out, true
}

func (s *ServiceNow) findChanges(w http.ResponseWriter, r *http.Request) {
	found := []any{}
	if query := r.URL.Query().Get("sysparm_query"); query != "" {
		where, ok := conditions(query)
		if !ok || len(where) != 1 || where["number"] == "" {
			s.fails(w, http.StatusBadRequest, "Invalid query")
			return
		}
		if s.Any && s.changes[where["number"]] == nil {
			s.add(where["number"], nil)
		}
		for _, key := range slices.Sorted(maps.Keys(s.changes)) {
			if row := s.changes[key]; row.Columns["number"] == where["number"] {
				found = append(found, row.shown())
			}
		}
	}
	answer(w, http.StatusOK, map[string]any{"result": found})
}

// shown is a record as the Change Management API answers: each column with value and
// display_value, numbers as numbers, journals in the display_value alone.
func (r *Row) shown() map[string]any {
	out := map[string]any{}
	for name, value := range r.Columns {
		cell := map[string]any{"value": value, "display_value": display(name, value)}
		if number, err := strconv.ParseFloat(value, 64); err == nil && name == "state" {
			cell["value"] = number
		}
		if name == "active" {
			cell["value"] = value == "true"
		}
		out[name] = cell
	}
	var journal strings.Builder
	for _, note := range slices.Backward(r.Notes) {
		fmt.Fprintf(&journal, "2026-03-14 02:03:00 - backout (Work notes)\n%s\n\n", note)
	}
	out["work_notes"] = map[string]any{"value": "", "display_value": journal.String()}
	return out
}

// display is how the states and approvals of a new instance read.
func display(column, value string) string {
	words := map[string]map[string]string{
		"state":    {"-5": "New", "-4": "Assess", "-3": "Authorize", "-2": "Scheduled", "-1": "Implement", "0": "Review", "3": "Closed", "4": "Canceled"},
		"approval": {"not requested": "Not Yet Requested", "requested": "Requested", "approved": "Approved", "rejected": "Rejected"},
	}
	if word := words[column][value]; word != "" {
		return word
	}
	return value
}

// write takes what a PATCH or POST says; columns that are closed keep what they have.
func (s *ServiceNow) write(row *Row, r *http.Request, closed []string) bool {
	var columns map[string]string
	if json.NewDecoder(r.Body).Decode(&columns) != nil {
		return false
	}
	for name, value := range columns {
		switch {
		case name == "work_notes":
			row.Notes = append(row.Notes, value)
		case !slices.Contains(closed, name):
			if r := []rune(value); s.Longest > 0 && len(r) > s.Longest {
				value = string(r[:s.Longest])
			}
			row.Columns[name] = value
		}
	}
	return true
}

func (s *ServiceNow) patchChange(w http.ResponseWriter, r *http.Request) {
	for _, row := range s.changes {
		if row.Columns["sys_id"] != r.PathValue("sys_id") {
			continue
		}
		if !s.write(row, r, append([]string{"sys_id", "number"}, s.closed...)) {
			s.fails(w, http.StatusBadRequest, "Exception while reading request")
			return
		}
		answer(w, http.StatusOK, map[string]any{"result": row.shown()})
		return
	}
	s.fails(w, http.StatusNotFound, "No Record found")
}

func (s *ServiceNow) findIncidents(w http.ResponseWriter, r *http.Request) {
	where, ok := conditions(r.URL.Query().Get("sysparm_query"))
	if !ok || len(where) != 1 || where["correlation_id"] == "" {
		s.fails(w, http.StatusBadRequest, "Invalid query")
		return
	}
	found := []any{}
	for _, row := range s.incidents {
		if row.Columns["correlation_id"] == where["correlation_id"] {
			found = append(found, row.shown())
		}
	}
	answer(w, http.StatusOK, map[string]any{"result": found})
}

func (s *ServiceNow) newIncident(columns map[string]string) *Row {
	number := fmt.Sprintf("INC%07d", len(s.incidents)+1)
	row := &Row{Columns: maps.Clone(columns)}
	row.Columns["number"], row.Columns["sys_id"] = number, id("incident", number)
	s.incidents = append(s.incidents, row)
	return row
}

func (s *ServiceNow) postIncident(w http.ResponseWriter, r *http.Request) {
	row := &Row{Columns: map[string]string{}}
	if !s.write(row, r, []string{"sys_id", "number"}) {
		s.fails(w, http.StatusBadRequest, "Exception while reading request")
		return
	}
	made := s.newIncident(row.Columns)
	made.Notes = row.Notes
	answer(w, http.StatusCreated, map[string]any{"result": made.shown()})
}

func (s *ServiceNow) patchIncident(w http.ResponseWriter, r *http.Request) {
	for _, row := range s.incidents {
		if row.Columns["sys_id"] == r.PathValue("sys_id") && s.write(row, r, []string{"sys_id", "number"}) {
			answer(w, http.StatusOK, map[string]any{"result": row.shown()})
			return
		}
	}
	s.fails(w, http.StatusNotFound, "No Record found")
}
