package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// listGroups is how many groups the list's filter offers.
	listGroups = 200
	// ruleSaid is how many changes the page of a rule shows.
	ruleSaid = 50
)

// modeLess is the filter for rules that may do less than their files say.
const modeLess = "less"

// rules builds the list of rules.
func (d *Dashboard) rules(ctx context.Context, q *query) (ui.Content, error) {
	filter, number, err := listed(q)
	if err != nil {
		return nil, err
	}
	list, err := d.o.Services.Rules.ListRules(ctx)
	if err != nil {
		return nil, err
	}
	out := ui.Rules{All: len(list), Filter: filter, MayReplay: d.readsAll(q)}
	count(&out, list)
	var found []*handlers.RuleStatus
	for i := range list {
		if passes(filter, &list[i]) {
			found = append(found, &list[i])
		}
	}
	out.Found, out.Pages = len(found), max(1, (len(found)+ui.RulesPerPage-1)/ui.RulesPerPage)
	// There may be fewer than when the link was made.
	out.Number = min(number, out.Pages)
	for _, r := range found[(out.Number-1)*ui.RulesPerPage : min(len(found), out.Number*ui.RulesPerPage)] {
		out.Rules = append(out.Rules, shownRule(r))
	}
	return out, nil
}

// listed reads which rules of the list are wanted, and which page of them.
func listed(q *query) (f ui.RuleFilter, number int, err error) {
	f = ui.RuleFilter{Text: strings.TrimSpace(q.get("text")), Mode: q.get("mode"), Group: q.get("group")}
	if f.Mode != "" && f.Mode != modeLess && !slices.Contains(modes, backout.Mode(f.Mode)) {
		return f, 0, handlers.Refuse(http.StatusBadRequest, "invalid", "mode: want auto, ask, shadow or less")
	}
	number = 1
	if given := q.get("page"); given != "" {
		if number, err = strconv.Atoi(given); err != nil || number < 1 {
			return f, 0, handlers.Refuse(http.StatusBadRequest, "invalid", "page: want the number of a page, from 1")
		}
	}
	return f, number, nil
}

// count adds what is said of all rules together.
func count(out *ui.Rules, list []handlers.RuleStatus) {
	counted, groups := map[backout.Mode]int{}, map[string]bool{}
	for i := range list {
		counted[list[i].Mode]++
		groups[list[i].Group] = true
		if list[i].Mode != list[i].FileMode {
			out.Less++
		}
	}
	for _, mode := range modes {
		out.Modes = append(out.Modes, ui.ModeCount{Mode: mode, Count: counted[mode]})
	}
	out.Groups = slices.Sorted(maps.Keys(groups))
	out.MoreGroups = max(0, len(out.Groups)-listGroups)
	out.Groups = out.Groups[:len(out.Groups)-out.MoreGroups]
}

// modes are what a rule may do, what is most first.
var modes = []backout.Mode{backout.ModeAuto, backout.ModeAsk, backout.ModeShadow}

// readsAll tells whether whoever looks may read everything, as a replay and questions
// about any alert that came in take.
func (d *Dashboard) readsAll(q *query) bool { return d.o.Services.May(q.by, access.ActionRead, nil) }

// passes tells whether the filter lets the rule through.
func passes(f ui.RuleFilter, r *handlers.RuleStatus) bool {
	switch {
	case f.Group != "" && f.Group != r.Group:
		return false
	case f.Mode == modeLess && r.Mode == r.FileMode:
		return false
	case f.Mode != "" && f.Mode != modeLess && backout.Mode(f.Mode) != r.Mode:
		return false
	}
	wanted := strings.ToLower(f.Text)
	for _, text := range append([]string{r.Rule, r.Group, r.File, r.When, r.Why}, r.Match...) {
		if strings.Contains(strings.ToLower(text), wanted) {
			return true
		}
	}
	return false
}

func shownRule(r *handlers.RuleStatus) ui.Rule {
	out := ui.Rule{
		Name: r.Rule, Group: r.Group, Place: r.File, Match: r.Match, When: r.When, Throttle: r.Throttle,
		Mode: r.Mode, FileMode: r.FileMode, Why: r.Why, Score: shownScore(r.Score), LastVerdict: r.LastVerdict,
	}
	if r.Line > 0 {
		out.Place = fmt.Sprintf("%s:%d", r.File, r.Line)
	}
	if r.Promotion != nil {
		p := shownPromotion(r, *r.Promotion)
		out.Promoted = &p
	}
	return out
}

func shownScore(s handlers.RuleScore) ui.Score {
	return ui.Score{Agreed: s.Agreed, Disagreed: s.Disagreed, Open: s.Open, ByPeople: s.ByPeople}
}

func shownPromotion(r *handlers.RuleStatus, p handlers.Promoted) ui.Promoted {
	return ui.Promoted{
		Mode: p.Mode, Lowered: p.Lowered, Former: p.Hash != r.Hash, By: p.By, Reason: p.Reason, At: p.At, Score: shownScore(p.Score),
	}
}

// rule builds the page of one rule. Its name comes as a parameter: names of rules are
// freer than what may stand in a path.
func (d *Dashboard) rule(ctx context.Context, q *query) (ui.Content, error) {
	list, err := d.o.Services.Rules.ListRules(ctx)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(list, func(r handlers.RuleStatus) bool { return r.Rule == q.get("name") })
	if at < 0 {
		return nil, fmt.Errorf("rule %.100q: the config has no such rule: %w", q.get("name"), backout.ErrNotFound)
	}
	r := &list[at]
	out := ui.RulePage{
		Rule: shownRule(r), TargetLabel: r.TargetLabel, Hash: r.Hash,
		MayReplay: d.readsAll(q), MayPromote: d.o.Services.May(q.by, access.ActionRule, nil),
	}
	for _, p := range r.History {
		out.History = append(out.History, shownPromotion(r, p))
	}
	changes, err := d.o.Services.Changes.ListChanges(ctx, handlers.ChangeFilter{})
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		_, body := handlers.Describe(err)
		out.SaidUnknown = body.Message
		return out, nil
	}
	out.Said = said(r, changes)
	out.MoreSaid = max(0, len(out.Said)-ruleSaid)
	out.Said = out.Said[:len(out.Said)-out.MoreSaid]
	return out, nil
}

// said are the verdicts of the rule, by change, the newest first.
func said(r *handlers.RuleStatus, changes []backout.Change) (out []ui.Said) {
	for i := range changes {
		c := &changes[i]
		for j := range c.Rules {
			rec := &c.Rules[j]
			if rec.Rule != r.Rule {
				continue
			}
			outcome, _ := change.OutcomeOf(c, rec)
			row := ui.Said{
				ChangeID: c.ID, Title: c.Title, State: c.State, First: rec.First, Last: rec.Last, Verdicts: rec.Verdicts,
				Mode: rec.Mode, Targets: rec.Targets, Outcome: string(outcome), Former: rec.Hash != r.Hash,
			}
			if rec.Judged != nil {
				row.By, row.Reason = rec.Judged.By, rec.Judged.Reason
			}
			out = append(out, row)
		}
	}
	slices.SortStableFunc(out, func(a, b ui.Said) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.ChangeID, b.ChangeID)) })
	return out
}
