package handlers

import (
	"context"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

func (h *Handler) ruleRoutes() []route {
	return []route{
		on("GET", "/api/v1/rules", mayRead, "Lists the rules, what they may do and how they have done.", h.listRules),
		on("POST", "/api/v1/rules/explain", mayRead, "Says what every rule makes of one alert; does nothing.", h.explain),
		on("POST", "/api/v1/rules/{rule}/promote", mayRule, "Lets a rule do more, or less.", h.promoteRule),
		on("POST", "/api/v1/changes/{id}/rules/{rule}/judge", mayRule, "Says whether a rule was right about the change.", h.judgeRule),
		on("GET", "/api/v1/history", mayRead, "What came in and what became of it, one JSON object a line.", h.history).streaming(),
	}
}

func (h *Handler) listRules(c *call) error {
	list, err := h.o.Rules.ListRules(c.r.Context())
	return answerList(c, list, err)
}

func (h *Handler) explain(c *call) error {
	var in ExplainRequest
	if err := h.body(c, &in); err != nil {
		return err
	}
	if (in.Alert == nil) == (in.Fingerprint == "") {
		return invalid("want either alert or fingerprint")
	}
	for _, id := range in.ChangeIDs {
		if !validName(id) {
			return invalid("change_ids: %s is not the id of a change", quoteShort(id))
		}
	}
	explained, err := h.explainOne(c.r.Context(), in)
	return answerOne(c, explained, err)
}

// maxExplains is how many explanations are made at once: each compiles every rule,
// and reading the log for an alert takes seconds. More are answered 503.
const maxExplains = 4

func (h *Handler) explainOne(ctx context.Context, in ExplainRequest) (Explained, error) {
	if !h.explains.enter() {
		return Explained{}, errOverloaded
	}
	defer h.explains.leave()
	return h.o.Rules.Explain(ctx, in)
}

func (h *Handler) promoteRule(c *call) error {
	rule, err := c.rule()
	if err != nil {
		return err
	}
	var in Promotion
	if err := h.body(c, &in); err != nil {
		return err
	}
	switch in.Mode {
	case backout.ModeShadow, backout.ModeAsk, backout.ModeAuto:
	default:
		return invalid("mode %s: want shadow, ask or auto", quoteShort(string(in.Mode)))
	}
	if err := whyRule(in.Reason, "reason: missing, want why the rule may do this"); err != nil {
		return err
	}
	status, err := h.o.Rules.PromoteRule(c.r.Context(), c.actor, rule, in)
	return answerOne(c, status, err)
}

func (h *Handler) judgeRule(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	rule, err := c.rule()
	if err != nil {
		return err
	}
	var in struct {
		Agree  *bool  `json:"agree"`
		Reason string `json:"reason"`
	}
	if err := h.body(c, &in); err != nil {
		return err
	}
	if in.Agree == nil {
		return invalid("agree: missing, want true or false")
	}
	if err := whyRule(in.Reason, "reason: missing, want why the rule was right or wrong"); err != nil {
		return err
	}
	change, err := h.o.Rules.JudgeRule(c.r.Context(), c.actor, id, rule, backout.Judgement{
		Agree: *in.Agree, By: c.actor.Name, Reason: in.Reason, At: time.Now().UTC(),
	})
	return answerOne(c, change, err)
}

// maxReason is how long a reason may be that is kept for ever, in bytes.
const maxReason = 2000

func whyRule(reason, missing string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return invalid("%s", missing)
	case len(reason) > maxReason:
		return invalid("reason: %d bytes, want at most %d", len(reason), maxReason)
	}
	return nil
}

// rule returns the name of a rule in the path.
func (c *call) rule() (string, error) {
	rule := c.r.PathValue("rule")
	if rule == "" || len(rule) > 100 || strings.ContainsFunc(rule, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._:-", r)
	}) {
		return "", invalid("rule %s: not the name of a rule", quoteShort(rule))
	}
	return rule, nil
}
