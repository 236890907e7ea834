package ui

import "time"

// Login is what the page shows where people sign in.
type Login struct {
	// Problem is why the last try failed.
	Problem string
	// Provider is the identity provider's host; empty when there is none. Local tells
	// whether local users can sign in.
	Provider string
	Local    bool
	// Next is where to go then, Fresh that the person is to prove anew who they are.
	Next  string
	Fresh bool
	// Form is the token that the form must carry.
	Form string
}

// Account is what somebody sees of their own account.
type Account struct {
	Name   string
	Groups []string
	// Roles say what the person may do, and where; without any the page says so.
	Roles   []string
	LoginAt time.Time
	// Sessions are the person's, the present one marked; none for a token's holder, who
	// has no form either.
	Sessions []AccountSession
	Slack    []AccountSlack
	Form     string
}

// AccountSession is one session.
type AccountSession struct {
	ID               string
	What             string
	Begun, Seen, End time.Time
	Present          bool
}

// AccountSlack is a Slack account that is linked.
type AccountSlack struct {
	Team, User string
	At         time.Time
}

// Link is what somebody is asked before a Slack account becomes theirs.
type Link struct {
	Name string
	// Team and User are Slack's ids.
	Team, User string
	Token      string
	Form       string
	// Problem is why it cannot be; Done that it is.
	Problem string
	Done    bool
}

// Page implements [Content].
func (Login) Page() string { return "login" }

// Title implements [Content].
func (Login) Title() string { return "sign in" }

// Page implements [Content].
func (Account) Page() string { return "account" }

// Title implements [Content].
func (Account) Title() string { return "account" }

// Page implements [Content].
func (Link) Page() string { return "link" }

// Title implements [Content].
func (Link) Title() string { return "link a Slack account" }
