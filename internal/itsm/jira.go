package itsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Jira calls a site: version 3 of the API in the cloud, 2 in a data center.
type Jira struct {
	*Client
	// Cloud tells which.
	Cloud bool
}

// Issue is one issue with the fields that were asked for.
type Issue struct {
	Key    string                     `json:"key"`
	Fields map[string]json.RawMessage `json:"fields"`
}

var issueKey = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}-[0-9]{1,12}$`)

// IsKey tells whether a text can be an issue's key.
func IsKey(text string) bool { return issueKey.MatchString(text) }

func (j Jira) path(rest string) string {
	if j.Cloud {
		return "/rest/api/3/" + rest
	}
	return "/rest/api/2/" + rest
}

// Issue reads some fields of an issue. None of that key wraps [ErrNoRecord].
func (j Jira) Issue(ctx context.Context, key string, fields string) (Issue, error) {
	if !IsKey(key) {
		return Issue{}, backout.Permanent(fmt.Errorf("%q cannot be the key of an issue: %w", key, backout.ErrNotFound))
	}
	var out Issue
	err := j.call(ctx, request{method: http.MethodGet, path: j.path("issue/" + key), query: url.Values{"fields": {fields}}, out: &out})
	if errors.Is(err, backout.ErrNotFound) && !errors.Is(err, errNoAPI) {
		err = backout.Permanent(fmt.Errorf("issue %s: %w", key, ErrNoRecord))
	}
	return out, err
}

// SetFields writes fields of an issue.
func (j Jira) SetFields(ctx context.Context, key string, fields map[string]any) error {
	return j.call(ctx, request{method: http.MethodPut, path: j.path("issue/" + key), in: map[string]any{"fields": fields}})
}

// noticeProperty is the property of a comment that has a notice's tag.
const noticeProperty = "backout.notice"

// property is one of a comment's, with what its writer put there.
type property struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// recentComments is how many of the last comments are searched for our tag.
const recentComments = "100"

// Commented tells whether one of the last comments carries the tag. People cannot
// write properties in a comment's text.
func (j Jira) Commented(ctx context.Context, key, tag string) (bool, error) {
	var out struct {
		Comments []struct {
			Properties []property `json:"properties"`
		} `json:"comments"`
	}
	err := j.call(ctx, request{
		method: http.MethodGet, path: j.path("issue/" + key + "/comment"), out: &out,
		query: url.Values{"orderBy": {"-created"}, "maxResults": {recentComments}, "expand": {"properties"}},
	})
	for _, c := range out.Comments {
		for _, p := range c.Properties {
			var value struct {
				Tag string `json:"tag"`
			}
			if p.Key == noticeProperty && json.Unmarshal(p.Value, &value) == nil && value.Tag == tag {
				return true, err
			}
		}
	}
	return false, err
}

// Comment adds a comment that customers of a service desk do not see.
func (j Jira) Comment(ctx context.Context, key, tag, text string) error {
	return j.call(ctx, request{method: http.MethodPost, path: j.path("issue/" + key + "/comment"), out: &struct{}{}, in: map[string]any{
		"body": j.Text(text),
		"properties": []map[string]any{
			{"key": noticeProperty, "value": map[string]any{"tag": tag}},
			{"key": "sd.public.comment", "value": map[string]any{"internal": true}},
		},
	}})
}

// Text is a text as the API wants long ones: a document in the cloud, one without
// markup in a data center.
func (j Jira) Text(text string) any {
	if j.Cloud {
		return Document(text)
	}
	return Unformatted(text)
}

// Labelled are the issues of a project with the label, oldest first, two at most.
// Jira's index may lag behind by seconds.
func (j Jira) Labelled(ctx context.Context, project, label string) ([]Issue, error) {
	path := j.path("search")
	if j.Cloud {
		path = j.path("search/jql")
	}
	var out struct{ Issues []Issue }
	err := j.call(ctx, request{method: http.MethodPost, path: path, out: &out, in: map[string]any{
		"jql":    fmt.Sprintf("project = %q AND labels = %q ORDER BY created ASC", project, label),
		"fields": []string{"labels"}, "maxResults": 2,
	}})
	for _, i := range out.Issues {
		if err == nil && !IsKey(i.Key) {
			err = errKey
		}
	}
	return out.Issues, err
}

// HasLabel tells whether the issue, read with its labels, has one.
func (i Issue) HasLabel(label string) bool {
	var labels []string
	return json.Unmarshal(i.Fields["labels"], &labels) == nil && slices.Contains(labels, label)
}

var errKey = backout.Permanent(fmt.Errorf("the answer has no issue key: %w: is url the address of a Jira site", backout.ErrInvalid))

// Create makes an issue.
func (j Jira) Create(ctx context.Context, fields map[string]any) (string, error) {
	var out Issue
	err := j.call(ctx, request{method: http.MethodPost, path: j.path("issue"), in: map[string]any{"fields": fields}, out: &out})
	if err == nil && !IsKey(out.Key) {
		err = errKey
	}
	return out.Key, err
}

// Link links two issues by the name of a link type.
func (j Jira) Link(ctx context.Context, linkType, inward, outward string) error {
	return j.call(ctx, request{method: http.MethodPost, path: j.path("issueLink"), in: map[string]any{
		"type": map[string]string{"name": linkType}, "inwardIssue": map[string]string{"key": inward}, "outwardIssue": map[string]string{"key": outward},
	}})
}

// Approval is one question to the approvers of a request.
type Approval struct {
	Name string `json:"name"`
	// FinalDecision is approved, declined or pending.
	FinalDecision string `json:"finalDecision"`
	CreatedDate   struct {
		EpochMillis int64 `json:"epochMillis"`
	} `json:"createdDate"`
}

// maxApprovalPages ends the reading of approvals that have no end.
const maxApprovalPages = 20

// Approvals are all of a request of a service desk.
func (j Jira) Approvals(ctx context.Context, key string) ([]Approval, error) {
	var all []Approval
	for range maxApprovalPages {
		var page struct {
			Values     []Approval `json:"values"`
			IsLastPage bool       `json:"isLastPage"`
		}
		err := j.call(ctx, request{
			method: http.MethodGet, path: "/rest/servicedeskapi/request/" + key + "/approval", out: &page,
			query: url.Values{"start": {fmt.Sprint(len(all))}, "limit": {"50"}},
		})
		if err != nil {
			return nil, err
		}
		if all = append(all, page.Values...); page.IsLastPage {
			return all, nil
		}
		if len(page.Values) == 0 {
			break
		}
	}
	return nil, fmt.Errorf("call %s: the approvals of %s have no end", j.Host(), key)
}

// Ping tells whether the user is known.
func (j Jira) Ping(ctx context.Context) error {
	return j.call(ctx, request{method: http.MethodGet, path: j.path("myself"), out: &struct{}{}})
}

// JiraTime reads a time of a field, as Jira writes it; zero where there is none.
func JiraTime(raw json.RawMessage) (time.Time, error) {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) != nil || text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.000-0700", time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, backout.Permanent(fmt.Errorf("%w: a time in a field is not one with a zone: name a field of the type date time", backout.ErrInvalid))
}
