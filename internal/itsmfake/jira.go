package itsmfake

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Jira plays a site: the cloud with version 3 of the API, a data center with
// version 2. It is an [http.Handler].
type Jira struct {
	core
	// Any makes an issue of every key that is asked for.
	Any bool

	cloud     bool
	version   string
	issues    map[string]*Issue
	order     []string
	approvals map[string][]Approval
	links     []Link
	// closed are fields that cannot be set: to try answers 400.
	closed []string
	// long are fields that hold documents in the cloud.
	long []string
	mux  *http.ServeMux
}

// Issue is one issue.
type Issue struct {
	Fields   map[string]any
	Comments []Comment
}

// Comment is one comment: Body as it was sent, Text what a reader sees.
type Comment struct {
	Body       json.RawMessage
	Text       string
	Properties map[string]json.RawMessage
}

// Approval is one question to approvers, and what they decided: approved, declined or
// pending.
type Approval struct {
	Name, Decision string
	Millis         int64
}

// Link is a link between two issues.
type Link struct{ Type, Inward, Outward string }

// NewJira makes a site whose user, client and token have this secret. Fields named
// long hold documents in the cloud, as description and comments do.
func NewJira(secret string, cloud bool, long ...string) *Jira {
	j := &Jira{
		core: core{secret: secret, tokens: map[string]bool{}}, cloud: cloud, version: "2",
		issues: map[string]*Issue{}, approvals: map[string][]Approval{}, long: append(long, "description"), mux: http.NewServeMux(),
	}
	search := "search"
	if cloud {
		j.version, search = "3", "search/jql"
	}
	api := "/rest/api/" + j.version + "/"
	j.mux.HandleFunc("POST /oauth/token", j.giveToken)
	// "Issues", "Issue comments", "Issue search", "Issue links" and "Myself" of the
	// Jira Cloud platform REST API v3; the same of the Data Center REST API v2.
	j.mux.HandleFunc("GET "+api+"myself", j.private(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]string{"displayName": User}) }))
	j.mux.HandleFunc("GET "+api+"issue/{key}", j.private(j.getIssue))
	j.mux.HandleFunc("PUT "+api+"issue/{key}", j.private(j.putIssue))
	j.mux.HandleFunc("POST "+api+"issue", j.private(j.postIssue))
	j.mux.HandleFunc("GET "+api+"issue/{key}/comment", j.private(j.getComments))
	j.mux.HandleFunc("POST "+api+"issue/{key}/comment", j.private(j.postComment))
	j.mux.HandleFunc("POST "+api+search, j.private(j.search))
	j.mux.HandleFunc("POST "+api+"issueLink", j.private(j.postLink))
	// "Request", approvals, of the Jira Service Management REST API.
	j.mux.HandleFunc("GET /rest/servicedeskapi/request/{key}/approval", j.private(j.getApprovals))
	return j
}

// ServeHTTP implements [http.Handler].
func (j *Jira) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if j.enter(w, r) {
		j.mux.ServeHTTP(w, r)
	}
}

// Handler is the site without its faults.
func (j *Jira) Handler() http.Handler { return j.mux }

func (j *Jira) private(fn http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !j.known(r) {
			fails(w, http.StatusUnauthorized, "Client must be authenticated to access this resource.")
			return
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if key := r.PathValue("key"); key != "" && j.issues[key] == nil {
			if !j.Any {
				fails(w, http.StatusNotFound, "Issue does not exist or you do not have permission to see it.")
				return
			}
			j.add(key, nil)
		}
		fn(w, r)
	}
}

func fails(w http.ResponseWriter, status int, what string) {
	answer(w, status, map[string]any{"errorMessages": []string{what}, "errors": map[string]string{}})
}

// AddIssue makes an issue.
func (j *Jira) AddIssue(key string, fields map[string]any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(key, fields)
}

func (j *Jira) add(key string, fields map[string]any) {
	all := map[string]any{"status": JiraStatus("Waiting for approval", "indeterminate"), "labels": []any{}}
	maps.Copy(all, fields)
	j.issues[key] = &Issue{Fields: all}
	j.order = append(j.order, key)
}

// JiraStatus is a status as a field, with the key of its category.
func JiraStatus(name, category string) any {
	return map[string]any{"name": name, "statusCategory": map[string]any{"key": category}}
}

// Set writes fields of an issue, as a person does there.
func (j *Jira) Set(key string, fields map[string]any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	maps.Copy(j.issues[key].Fields, fields)
}

// Approve replaces the approvals of an issue, and makes it a request of a service
// desk; nil makes it none.
func (j *Jira) Approve(key string, all []Approval) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.approvals[key] = all
}

// Close makes the fields ones that cannot be set.
func (j *Jira) Close(fields ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = fields
}

// Issue returns an issue as it stands; empty when there is none.
func (j *Jira) Issue(key string) Issue {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.issues[key] == nil {
		return Issue{}
	}
	return Issue{Fields: maps.Clone(j.issues[key].Fields), Comments: slices.Clone(j.issues[key].Comments)}
}

// Keys are those of all issues, oldest first.
func (j *Jira) Keys() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.order)
}

// Links are all links that were made.
func (j *Jira) Links() []Link {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.links)
}

// Take returns every comment and forgets them.
func (j *Jira) Take() []Comment {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Comment
	for _, key := range j.order {
		out = append(out, j.issues[key].Comments...)
		j.issues[key].Comments = nil
	}
	return out
}

func (j *Jira) getIssue(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	fields := map[string]any{}
	for name := range strings.SplitSeq(r.URL.Query().Get("fields"), ",") {
		if value, ok := j.issues[key].Fields[name]; ok {
			fields[name] = value
		}
	}
	answer(w, http.StatusOK, map[string]any{"id": "10000", "key": key, "fields": fields})
}

// checkFields refuses what the API refuses: a text where it wants a document, a
// document where it wants a text, a field that is on no screen.
func (j *Jira) checkFields(fields map[string]json.RawMessage) string {
	for name, raw := range fields {
		if slices.Contains(j.closed, name) {
			return fmt.Sprintf("Field '%s' cannot be set. It is not on the appropriate screen, or unknown.", name)
		}
		if slices.Contains(j.long, name) {
			if _, err := j.read(raw); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

func (j *Jira) putIssue(w http.ResponseWriter, r *http.Request) {
	var in struct{ Fields map[string]json.RawMessage }
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		fails(w, http.StatusBadRequest, "There was an error parsing JSON.")
		return
	}
	if what := j.checkFields(in.Fields); what != "" {
		fails(w, http.StatusBadRequest, what)
		return
	}
	for name, raw := range in.Fields {
		j.issues[r.PathValue("key")].Fields[name] = raw
	}
	w.WriteHeader(http.StatusNoContent)
}

func (j *Jira) postIssue(w http.ResponseWriter, r *http.Request) {
	var in struct{ Fields map[string]json.RawMessage }
	var project struct{ Key string }
	if json.NewDecoder(r.Body).Decode(&in) != nil || json.Unmarshal(in.Fields["project"], &project) != nil || project.Key == "" {
		fails(w, http.StatusBadRequest, "Specify a valid project ID or key")
		return
	}
	what := j.checkFields(in.Fields)
	var summary string
	if json.Unmarshal(in.Fields["summary"], &summary) != nil || summary == "" || strings.ContainsAny(summary, "\r\n") || len([]rune(summary)) > 255 {
		what = "The summary is invalid because it contains newline characters, or is too long."
	}
	if what != "" {
		fails(w, http.StatusBadRequest, what)
		return
	}
	key := fmt.Sprintf("%s-%d", project.Key, len(j.order)+1)
	fields := map[string]any{}
	for name, raw := range in.Fields {
		fields[name] = raw
	}
	j.add(key, fields)
	answer(w, http.StatusCreated, map[string]any{"id": "10001", "key": key})
}

func (j *Jira) getComments(w http.ResponseWriter, r *http.Request) {
	most, err := strconv.Atoi(r.URL.Query().Get("maxResults"))
	if err != nil || r.URL.Query().Get("orderBy") != "-created" {
		fails(w, http.StatusBadRequest, "bad parameters")
		return
	}
	out := []any{}
	for _, c := range slices.Backward(j.issues[r.PathValue("key")].Comments) {
		properties := []any{}
		for _, key := range slices.Sorted(maps.Keys(c.Properties)) {
			properties = append(properties, map[string]any{"key": key, "value": c.Properties[key]})
		}
		comment := map[string]any{"body": c.Body}
		if r.URL.Query().Get("expand") == "properties" {
			comment["properties"] = properties
		}
		if len(out) < most {
			out = append(out, comment)
		}
	}
	answer(w, http.StatusOK, map[string]any{"comments": out, "maxResults": most, "startAt": 0, "total": len(out)})
}

func (j *Jira) postComment(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Body       json.RawMessage
		Properties []struct {
			Key   string
			Value json.RawMessage
		}
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		fails(w, http.StatusBadRequest, "There was an error parsing JSON.")
		return
	}
	text, err := j.read(in.Body)
	if err != nil {
		fails(w, http.StatusBadRequest, err.Error())
		return
	}
	c := Comment{Body: in.Body, Text: text, Properties: map[string]json.RawMessage{}}
	for _, p := range in.Properties {
		c.Properties[p.Key] = p.Value
	}
	issue := j.issues[r.PathValue("key")]
	issue.Comments = append(issue.Comments, c)
	answer(w, http.StatusCreated, map[string]any{"id": strconv.Itoa(len(issue.Comments))})
}

// jql is the one query that is understood: anything else is a mistake, or somebody's
// text that became part of the query.
var jql = regexp.MustCompile(`^project = "([A-Z][A-Z0-9_]*)" AND labels = "([a-z0-9-]+)" ORDER BY created ASC$`)

func (j *Jira) search(w http.ResponseWriter, r *http.Request) {
	var in struct{ JQL string }
	if json.NewDecoder(r.Body).Decode(&in) != nil || !jql.MatchString(in.JQL) {
		fails(w, http.StatusBadRequest, "Error in the JQL Query")
		return
	}
	m := jql.FindStringSubmatch(in.JQL)
	found := []any{}
	for _, key := range j.order {
		raw, _ := json.Marshal(j.issues[key].Fields["labels"])
		var labels []string
		if json.Unmarshal(raw, &labels) == nil && strings.HasPrefix(key, m[1]+"-") && slices.Contains(labels, m[2]) {
			found = append(found, map[string]any{"key": key, "fields": map[string]any{"labels": labels}})
		}
	}
	answer(w, http.StatusOK, map[string]any{"issues": found, "isLast": true})
}

func (j *Jira) postLink(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Type                      struct{ Name string }
		InwardIssue, OutwardIssue struct{ Key string }
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || j.issues[in.InwardIssue.Key] == nil || j.issues[in.OutwardIssue.Key] == nil {
		fails(w, http.StatusNotFound, "Issue does not exist or you do not have permission to see it.")
		return
	}
	if link := (Link{in.Type.Name, in.InwardIssue.Key, in.OutwardIssue.Key}); !slices.Contains(j.links, link) {
		j.links = append(j.links, link)
	}
	w.WriteHeader(http.StatusCreated)
}

// approvalPage is how many approvals a page has; small, so that tests turn pages.
const approvalPage = 2

func (j *Jira) getApprovals(w http.ResponseWriter, r *http.Request) {
	if !j.cloud && r.Header.Get("X-ExperimentalApi") != "opt-in" {
		fails(w, http.StatusPreconditionFailed, "This API is experimental. Experimental APIs are not guaranteed to be stable.")
		return
	}
	all := j.approvals[r.PathValue("key")]
	if all == nil {
		fails(w, http.StatusNotFound, "The request you are trying to view does not exist.")
		return
	}
	start, err := strconv.Atoi(r.URL.Query().Get("start"))
	if err != nil || start < 0 {
		fails(w, http.StatusBadRequest, "start")
		return
	}
	values := []any{}
	for _, a := range all[min(start, len(all)):min(start+approvalPage, len(all))] {
		values = append(values, map[string]any{
			"id": "1", "name": a.Name, "finalDecision": a.Decision, "canAnswerApproval": false, "approvers": []any{},
			"createdDate": map[string]any{"epochMillis": a.Millis},
		})
	}
	answer(w, http.StatusOK, map[string]any{"size": len(values), "start": start, "limit": approvalPage, "isLastPage": start+approvalPage >= len(all), "values": values})
}
