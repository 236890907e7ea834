// Package itsm speaks to ITSM systems: the calls of ServiceNow and Jira that
// backout makes, to read the record of a change and to write into it. What is
// written when is the business of the channels that use it; that a record fits a
// change is the gate's.
//
// Every call has an end, follows no redirect, and shows in its errors neither a
// secret nor what the other side wrote. An answer that is no JSON is an error: a
// login or maintenance page comes with 200 too.
//
// Sources of the shapes, as public documentation has them: ServiceNow "Change
// Management API" and "Table API" (docs of the Zurich release, REST API reference),
// "OAuth 2.0 client credentials"; Jira Cloud REST API v3 (issues, issue comments,
// issue search, issue links), Jira Data Center REST API v2, Jira Service Management
// "servicedeskapi/request/{issueIdOrKey}/approval", Atlassian Document Format.
package itsm
