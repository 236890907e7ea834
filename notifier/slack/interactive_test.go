package slack

import (
	"context"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func interactive() Config {
	return Config{
		Token: backout.SecretValue("t"), AppToken: backout.SecretValue("a"), Team: "T024BE7LD", Channel: "C024BE91L", Interactive: true,
	}
}

func TestInteractiveConfigIsChecked(t *testing.T) {
	if _, err := New(interactive()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"token without buttons", func(c *Config) { c.Interactive = false }, "add interactive: true"},
		{"no way to hear", func(c *Config) { c.AppToken = backout.Secret{} }, "app_token (Socket Mode), or signing_secret"},
		{"both ways", func(c *Config) { c.SigningSecret = backout.SecretValue("s") }, "both"},
		{"no team", func(c *Config) { c.Team = "" }, "not a workspace's id"},
		{"name of a team", func(c *Config) { c.Team = "acme" }, "not a workspace's id"},
		{"empty app token", func(c *Config) { c.AppToken = backout.NewSecret(backout.SecretRef{Env: "X"}) }, "app_token is empty"},
		{"empty signing secret", func(c *Config) {
			c.AppToken, c.SigningSecret = backout.Secret{}, backout.NewSecret(backout.SecretRef{Env: "X"})
		}, "signing_secret is empty"},
	} {
		config := interactive()
		c.change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
}

type fixedCards struct {
	ok     bool
	posted []string
}

func (f *fixedCards) Card(context.Context, string) (Card, bool) { return Draw(cards()["veto"]), f.ok }
func (f *fixedCards) Posted(id string)                          { f.posted = append(f.posted, id) }

func TestFirstMessageIsTheCard(t *testing.T) {
	w := newWorkspace(t)
	config := interactive()
	config.APIURL = w.url
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	shown := &fixedCards{ok: true}
	n.ShowCards(shown)
	m := message(backout.MomentRed, nil)
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	first := w.take()[0]
	if !strings.Contains(first.Get("blocks"), ActionHold) || first.Get("text") != m.Subject || !strings.Contains(first.Get("metadata"), m.Notice.ID) {
		t.Errorf("the first message is no card: %v", first)
	}
	if len(shown.posted) != 1 || shown.posted[0] != m.Notice.RollbackID {
		t.Errorf("posted %v", shown.posted)
	}
	if _, err := n.Notify(t.Context(), message(backout.MomentHeld, &backout.Receipt{Ref: "1.2", Channel: "C024BE91L"})); err != nil {
		t.Fatal(err)
	}
	if reply := w.take()[0]; strings.Contains(reply.Get("blocks"), ActionHold) || reply.Get("thread_ts") != "1.2" || len(shown.posted) != 1 {
		t.Errorf("a reply is a card too: %v", reply)
	}
	shown.ok = false // the server is starting: the words go out all the same
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if plain := w.take()[0]; strings.Contains(plain.Get("blocks"), ActionHold) || !strings.Contains(plain.Get("blocks"), "section") {
		t.Errorf("without a card: %v", plain)
	}
	quiet := newNotifier(t, w)
	quiet.ShowCards(&fixedCards{ok: true})
	if _, err := quiet.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if plain := w.take()[0]; strings.Contains(plain.Get("blocks"), ActionHold) {
		t.Error("a channel that is not interactive has buttons")
	}
}

func TestPayloadsAreReadStrictly(t *testing.T) {
	for _, bad := range []string{
		"", "null x", "[]", `{"type":"block_actions"}`,
		`{"type":"block_actions","user":{"id":"U1","team_id":"T1"},"trigger_id":"t","actions":[{"action_id":"a"},{"action_id":"b"}]}`,
		`{"type":"block_actions","team":{"id":"T1"},"trigger_id":"t","actions":[{"action_id":"backout_hold"}]}`,
		`{"type":"view_submission","user":{"team_id":"T1"},"trigger_id":"t","view":{"id":"V1","callback_id":"backout_deny"}}`,
	} {
		if in, err := ParseInteraction([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, in)
		}
	}
	in, err := ParseInteraction([]byte(`{"type":"shortcut","user":{"id":"U1"}}`))
	if err != nil || in.Action != "" {
		t.Errorf("what is none of ours: %+v %v", in, err)
	}
}

func FuzzParseInteraction(f *testing.F) {
	f.Add([]byte(`{"type":"block_actions","team":{"id":"T1"},"user":{"id":"U1"},"trigger_id":"t","actions":[{"action_id":"a","value":"r\na","action_ts":"1.2"}]}`))
	f.Add([]byte(`{"type":"view_submission","view":{"private_metadata":"C\nr\na","state":{"values":{"reason":{"text":{"value":"x"}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := ParseInteraction(data)
		if err == nil && in.Action != "" && (in.User == "" || in.Team == "" || in.Key == "") {
			t.Errorf("%q acts for nobody: %+v", data, in)
		}
	})
}
