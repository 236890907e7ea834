package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// queryRules ask Prometheus: one is answered, one gets no sample, one the wrong kind.
const queryRules = `groups:
  - name: web
    rules:
      - rule: ShopIsDown
        match: [severity="critical"]
        when: prom("max_over_time(shop_healthy{instance=\"{target}:80\"}[1s])") < 1 and target.name == "web-1"
        mode: auto
        start_at: L1
      - rule: NoSuchShop
        match: [severity="critical"]
        when: prom("shop_healthy{instance=\"nobody\"}") < 1
        mode: auto
      - rule: NotANumber
        match: [severity="critical"]
        when: prom("shop_healthy[1m]") < 1
        mode: auto
`

// TestARuleAsksPrometheus: a real Prometheus answers the query of a rule, whose
// rollback says so; queries without an answer fail their rules, which is counted and
// told once.
func TestARuleAsksPrometheus(t *testing.T) {
	t.Parallel()
	part(t, "prometheus", "prometheus")
	shop := newShop(t)
	s := newSite(t, shop.plan(), queryRules, web1)
	s.quiet()
	s.listen = freePort(t)
	asked := prometheus(t, shop, direct(&server{url: "http://" + s.listen}))
	s.more = "prometheus: {url: \"http://" + asked + "\"}\n"
	srv := s.serve()
	srv.plan(s.change, "web-1")
	srv.mustCLI("change", "run", s.change, "--", shop.bin("patch"))
	id := srv.awaitRollback(30 * time.Second)
	r := srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)
	v := r.Trigger.Verdict
	if v == nil || v.Rule != "ShopIsDown" || !slices.ContainsFunc(v.Reasons, func(s string) bool { return strings.HasSuffix(s, "< 1 (prom() = 0)") }) {
		t.Errorf("trigger %+v", v)
	}
	m := srv.metrics()
	if m.sum(`backout_rule_queries_total{result="ok"}`) == 0 || m.sum(`backout_rule_queries_total{result="failed"}`) < 2 || m.sum("backout_rule_errors_total") < 2 {
		t.Errorf("metrics:\n%s", srv.metricsText())
	}
	for _, want := range []string{"yields no sample", "must yield a vector or a scalar"} {
		if n := strings.Count(srv.said.String(), want); n != 1 {
			t.Errorf("%q was told %d times", want, n)
		}
	}
}
