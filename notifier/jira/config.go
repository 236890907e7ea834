package jira

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/backout-io/backout/internal/itsm"
	"github.com/backout-io/backout/notifier"
)

// Config is the section of a channel of type jira.
type Config struct {
	// URL is the site's address.
	URL           string `json:"url" yaml:"url" required:"true" doc:"Address of the site, such as https://example.atlassian.net."`
	notifier.Auth `yaml:",inline"`
	// DataCenter speaks version 2 of the API instead of the cloud's 3.
	DataCenter bool `json:"data_center,omitempty" yaml:"data_center,omitempty" doc:"The site is a Data Center and not the cloud. Default false."`
	// Record is where notices go that belong to no issue.
	Record string `json:"record,omitempty" yaml:"record,omitempty" doc:"Issue for notices that belong to none: tests, blind monitoring, changes whose id is no issue's key."`
	// Fields are needed for the gate, plan for writing the plan.
	Fields Fields `json:"fields,omitzero" yaml:"fields,omitempty" doc:"Ids of the fields start, end and plan (planned start, planned end, back-out plan). All three are needed for the gate."`
	// Approved are statuses that count as approved instead of the service desk's approvals.
	Approved []string `json:"approved,omitempty" yaml:"approved,omitempty" doc:"Statuses that mean approved. Default: the approvals of Jira Service Management count."`
	// Incident says where incidents are opened; none without it.
	Incident *Incident `json:"incident,omitempty" yaml:"incident,omitempty" doc:"Open an incident when a change is red or its rollback has failed: project, type (Incident), link (Relates). Default: none is opened."`
}

// Fields are ids of fields.
type Fields struct {
	Start string `json:"start,omitempty" yaml:"start,omitempty" doc:"Planned start, such as customfield_10061."`
	End   string `json:"end,omitempty" yaml:"end,omitempty" doc:"Planned end."`
	Plan  string `json:"plan,omitempty" yaml:"plan,omitempty" doc:"Back-out plan."`
}

// Incident is where incidents are opened, and how they are linked.
type Incident struct {
	Project string `json:"project" yaml:"project" required:"true" doc:"Key of the project."`
	Type    string `json:"type,omitempty" yaml:"type,omitempty" doc:"Issue type. Default Incident."`
	Link    string `json:"link,omitempty" yaml:"link,omitempty" doc:"Link type between the incident and the change. Default Relates."`
}

var (
	fieldID    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)
	projectKey = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)
)

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if err := c.Check(c.URL); err != nil {
		return err
	}
	if c.Record != "" && !itsm.IsKey(c.Record) {
		return fmt.Errorf("record %q is not the key of an issue, such as OPS-1", c.Record)
	}
	for _, id := range []string{c.Fields.Start, c.Fields.End, c.Fields.Plan} {
		if id != "" && !fieldID.MatchString(id) {
			return fmt.Errorf("fields: %q is not a field's id: use the one in the field's address, such as customfield_10061, not its name", id)
		}
	}
	if slices.Contains(c.Approved, "") {
		return errors.New("approved holds an empty status: an issue of which nothing is known would count as approved")
	}
	if c.Incident != nil && !projectKey.MatchString(c.Incident.Project) {
		return fmt.Errorf("incident: project %q is not a project's key, such as OPS", c.Incident.Project)
	}
	return nil
}

// withDefaults fills in what the section leaves out.
func (c Config) withDefaults() Config {
	if c.Incident == nil {
		return c
	}
	incident := *c.Incident
	if incident.Type == "" {
		incident.Type = "Incident"
	}
	if incident.Link == "" {
		incident.Link = "Relates"
	}
	c.Incident = &incident
	return c
}
