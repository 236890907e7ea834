package client

import (
	"context"
	"net/url"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Rules lists the rules, what they may do and how they have done.
func (c *Client) Rules(ctx context.Context) ([]handlers.RuleStatus, error) {
	return getList[handlers.RuleStatus](ctx, c, api+"rules", nil)
}

// Explain says what every rule makes of one alert.
func (c *Client) Explain(ctx context.Context, r handlers.ExplainRequest) (handlers.Explained, error) {
	return post[handlers.Explained](ctx, c, api+"rules/explain", r)
}

// PromoteRule lets a rule do more, or less.
func (c *Client) PromoteRule(ctx context.Context, rule string, p handlers.Promotion) (handlers.RuleStatus, error) {
	return post[handlers.RuleStatus](ctx, c, api+"rules/"+url.PathEscape(rule)+"/promote", p)
}

// JudgeRule says whether the rule was right about the change.
func (c *Client) JudgeRule(ctx context.Context, changeID, rule string, agree bool, reason string) (backout.Change, error) {
	body := struct {
		Agree  bool   `json:"agree"`
		Reason string `json:"reason"`
	}{agree, reason}
	return post[backout.Change](ctx, c, changePath(changeID, "/rules/"+url.PathEscape(rule)+"/judge"), body)
}
