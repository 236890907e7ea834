package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/tokens"
)

// creating is a store in memory that API tokens are kept in, too.
type creating struct{ *memory }

func (c creating) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return c.Put(ctx, key, value, 0)
}

// lender makes API tokens for those who have signed in.
func lender(s *Service) *tokens.Service {
	return tokens.New(tokens.Options{Documents: creating{s.docs.(*memory)}, Now: func(ctx context.Context, o tokens.Owner) (handlers.Actor, string, error) {
		return s.Person(ctx, o.Name)
	}})
}

// lend makes an API token with a session.
func lend(t *testing.T, s *Service, api *tokens.Service, session string) string {
	t.Helper()
	actor, err := seen(s, session)
	if err != nil {
		t.Fatal(err)
	}
	made, err := api.CreateToken(t.Context(), actor, handlers.TokenRequest{
		Note: "pipeline", Roles: []backout.Role{backout.RoleApprover}, Labels: map[string]string{"env": "prod"}, ExpiresIn: backout.Duration(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.Token.Reveal()
}

// TestANameGivenAnewInheritsNoAPIToken: whoever has a name after a --forget, or a local
// user's after another password, inherits no API token of it. A login with the same
// password ends none.
func TestANameGivenAnewInheritsNoAPIToken(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	config := testConfig(provider)
	s := virtual(t, config)
	api := lender(s)
	glass := identity{Name: "glass", Local: true}
	alice := identity{Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre"}}
	lent := func(who identity) string {
		t.Helper()
		return lend(t, s, api, begun(t, s, who))
	}
	ended := func(what, token string, who identity) {
		t.Helper()
		begun(t, s, who)
		if actor, err := api.Bearer(t.Context(), token); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("%s: the token acts as %+v, %v", what, actor, err)
		}
	}
	of := map[string]string{"glass": lent(glass), "alice": lent(alice)}
	for _, who := range []identity{glass, alice} {
		begun(t, s, who)
		if _, err := api.Bearer(t.Context(), of[who.Name]); err != nil {
			t.Errorf("another login of %s ends the token: %v", who.Name, err)
		}
	}
	if _, err := s.takeLink(t.Context(), "glass", linkToken(t, s, "T1", "UG")); err != nil {
		t.Fatal(err)
	}
	another := config
	another.Users = []User{{Name: "glass", Hash: strings.Replace(glassHash, "C3Xx", "C3Xy", 1), Groups: []string{"sre"}}}
	s.Set(another)
	ended("another password", of["glass"], glass)
	if _, err := s.SlackActor(t.Context(), "T1", "UG"); err != nil {
		t.Errorf("another password of the same person takes their Slack account: %v", err)
	}
	s.Set(config)
	ended("another password, which is the password again", of["glass"], glass)
	of["glass"] = lent(glass)
	for _, who := range []identity{glass, alice} {
		if err := s.shutOut(t.Context(), who.Name, true); err != nil {
			t.Fatal(err)
		}
		ended(who.Name+" was let go", of[who.Name], who)
	}
	if _, err := s.SlackActor(t.Context(), "T1", "UG"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("a local user's name that was let go has its Slack account: %v", err)
	}
}

// TestATokenOfASessionFromBeforeOutlivesTheNextLogin: a person's document may know of no
// generation, and its session go on: what they make with it does not end when they sign in
// again.
func TestATokenOfASessionFromBeforeOutlivesTheNextLogin(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	s := virtual(t, testConfig(provider))
	api := lender(s)
	for _, who := range []identity{{Name: "glass", Local: true}, {Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre"}}} {
		session := begun(t, s, who)
		err := s.change(t.Context(), personID(who.Name), func(p *person) error {
			p.Generation = ""
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		token := lend(t, s, api, session)
		begun(t, s, who)
		if _, err := api.Bearer(t.Context(), token); err != nil {
			t.Errorf("%s signed in again, and the token is over: %v", who.Name, err)
		}
	}
	if _, _, err := s.Person(t.Context(), "nobody"); !errors.Is(err, backout.ErrNotFound) || strings.Contains(s.docs.(*memory).all(), personID("nobody")) {
		t.Errorf("who never signed in: %v", err)
	}
}

// TestARefusedLoginTakesNoName: whoever came with somebody else's name, once, has their
// own when they come with it; also when the other came first by a moment.
func TestARefusedLoginTakesNoName(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	s := virtual(t, testConfig(provider))
	docs := s.docs.(*memory)
	login := func(subject, name string) error {
		_, err := s.begin(t.Context(), identity{Name: name, Issuer: provider.Issuer, Subject: subject}, "", "test", false)
		return err
	}
	refused := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "belongs to another account") {
			t.Fatalf("somebody else's name: %v", err)
		}
	}
	if err := login("1", "alice"); err != nil {
		t.Fatal(err)
	}
	before := docs.all()
	refused(login("2", "alice"))
	if after := docs.all(); after != before {
		t.Errorf("a refused login leaves something:\n%s", after)
	}
	if err := login("2", "bob"); err != nil {
		t.Errorf("the right name: %v", err)
	}
	docs.before = func(key string) {
		docs.before = nil
		if err := login("3", "carol"); err != nil || !strings.HasPrefix(key, subjectPrefix) {
			t.Errorf("%s: %v", key, err)
		}
	}
	refused(login("4", "carol"))
	if err := login("4", "dave"); err != nil {
		t.Errorf("the right name, after two came at once: %v", err)
	}
}

// TestANameThatNobodyConfirmsLocksNobodyOut: an account has the name that the name's own
// document says, too. A login that was cut off between the two, or a document that names
// somebody else, keeps nobody out for good.
func TestANameThatNobodyConfirmsLocksNobodyOut(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	s := virtual(t, testConfig(provider))
	docs := &failing{memory: s.docs.(*memory), in: 2}
	s.docs = docs
	login := func(subject, name string) error {
		_, err := s.begin(t.Context(), identity{Name: name, Issuer: provider.Issuer, Subject: subject}, "", "test", false)
		return err
	}
	if err := login("1", "alicee"); !errors.Is(err, backout.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := login("1", "alice"); err != nil {
		t.Errorf("after a login that was cut off: %v", err)
	}
	if err := login("1", "alicee"); err == nil || !strings.Contains(err.Error(), "was alice here before") {
		t.Errorf("a second name: %v", err)
	}
	if err := s.write(t.Context(), namingKey(provider.Issuer, "2"), naming{Name: "alice"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := login("2", "bob"); err != nil {
		t.Errorf("an account that is said to be somebody else: %v", err)
	}
}

// TestTwoNamesAtOnceAreOne: of two logins of one account with two names one wins at most,
// whoever comes between whose writes, and also when the one that loses goes away.
func TestTwoNamesAtOnceAreOne(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	for _, cut := range []bool{false, true} {
		s := virtual(t, testConfig(provider))
		memory := s.docs.(*memory)
		login := func(ctx context.Context, name string) (string, error) {
			b, err := s.begin(ctx, identity{Name: name, Issuer: provider.Issuer, Subject: "1"}, "", "test", false)
			return b.Token, err
		}
		first, second, between := "alicee", "alice", personPrefix
		if cut { // the naming of a login that was cut off stands, and each goes on from it
			if err := s.write(t.Context(), namingKey(provider.Issuer, "1"), naming{Name: "alicee"}, 0); err != nil {
				t.Fatal(err)
			}
			first, second, between = "alice", "alicee", subjectPrefix
		}
		gone, leave := context.WithCancel(t.Context())
		token := ""
		memory.before = func(key string) {
			if !strings.HasPrefix(key, between) {
				return
			}
			memory.before = nil
			var err error
			if token, err = login(t.Context(), second); err != nil {
				t.Errorf("cut %t: who came between: %v", cut, err)
			}
			memory.before = func(string) {
				memory.before = nil
				leave()
			}
		}
		if _, err := login(gone, first); err == nil || gone.Err() == nil {
			t.Errorf("cut %t: one account is %s and %s", cut, first, second)
		}
		if who, err := seen(s, token); err != nil || who.Name != second {
			t.Errorf("cut %t: the one that won: %+v %v", cut, who, err)
		}
		if who, _, err := s.Person(t.Context(), first); err == nil {
			t.Errorf("cut %t: the one that lost is there: %+v", cut, who)
		}
		if _, err := login(t.Context(), first); err == nil || !strings.Contains(err.Error(), "was "+second+" here before") {
			t.Errorf("cut %t: the one that lost, later: %v", cut, err)
		}
		if _, err := login(t.Context(), second); err != nil {
			t.Errorf("cut %t: the one that won, again: %v", cut, err)
		}
	}
}

// TestALinkThatWasCutOffIsNobodys: a Slack account is somebody's only while their own
// document has it. Whoever was cut off between the two documents keeps it from nobody.
func TestALinkThatWasCutOffIsNobodys(t *testing.T) {
	s := virtual(t, testConfig(nil))
	docs := &failing{memory: s.docs.(*memory)}
	for _, name := range []string{"glass", "root"} {
		begun(t, s, identity{Name: name, Local: true})
	}
	take := func(name string) error {
		_, err := s.takeLink(t.Context(), name, linkToken(t, s, "T1", "U1"))
		return err
	}
	s.docs, docs.in = docs, 3
	if err := take("glass"); !errors.Is(err, backout.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := take("root"); err != nil {
		t.Errorf("after a link that was cut off: %v", err)
	}
	docs.in = 1
	if err := s.unlink(t.Context(), "root", "T1", "U1"); !errors.Is(err, backout.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := take("glass"); err == nil || !strings.Contains(err.Error(), "somebody else's") {
		t.Errorf("a Slack account that is still root's: %v", err)
	}
	docs.in = 2
	if err := s.unlink(t.Context(), "root", "T1", "U1"); !errors.Is(err, backout.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := take("glass"); err != nil {
		t.Errorf("after it was removed, cut off: %v", err)
	}
	if who, err := s.SlackActor(t.Context(), "T1", "U1"); err != nil || who.Name != "glass" {
		t.Errorf("%+v %v", who, err)
	}
}

// failing is a store that fails its n-th write, counted down.
type failing struct {
	*memory
	in int
}

func (f *failing) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if f.in--; f.in == 0 {
		return 0, backout.ErrUnavailable
	}
	return f.memory.Put(ctx, key, value, revision)
}

// TestForgettingIsFinished: a --forget that was cut off, wherever, is finished by another
// one; and whoever is forgotten is out after its first write.
func TestForgettingIsFinished(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	for cut := 1; cut <= 4; cut++ {
		s := virtual(t, testConfig(provider))
		docs := &failing{memory: s.docs.(*memory)}
		alice := identity{Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre"}}
		token := begun(t, s, alice)
		if _, err := s.takeLink(t.Context(), "alice", linkToken(t, s, "T1", "UA")); err != nil {
			t.Fatal(err)
		}
		docs.in, s.docs = cut, docs
		if err := s.shutOut(t.Context(), "alice", true); err == nil {
			t.Fatalf("cut off at write %d, and all is well", cut)
		}
		if _, err := seen(s, token); cut > 1 && err == nil {
			t.Errorf("cut off at write %d: alice is still in", cut)
		}
		if err := s.shutOut(t.Context(), "alice", true); err != nil {
			t.Fatalf("cut off at write %d, and again: %v", cut, err)
		}
		isForgotten(t, s, "alice")
		renamed := alice
		renamed.Name = "alice2"
		begun(t, s, renamed)
		begun(t, s, identity{Name: "alice", Issuer: provider.Issuer, Subject: "2", Groups: []string{"sre"}})
		if _, err := s.takeLink(t.Context(), "alice2", linkToken(t, s, "T1", "UA")); err != nil {
			t.Errorf("cut off at write %d: the Slack account was not let go: %v", cut, err)
		}
	}
}

// isForgotten wants nothing to lead to a name any more, and no session in it.
func isForgotten(t *testing.T, s *Service, name string) {
	t.Helper()
	var p person
	if _, err := s.read(t.Context(), personPrefix+personID(name), &p); err != nil || !p.Out || len(p.Sessions) > 0 || p.Subject != "" || len(p.Slack) > 0 {
		t.Errorf("%v, of %s there is %+v", err, name, p)
	}
	docs, err := s.docs.Keys(t.Context(), "auth.")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range docs {
		doc, err := s.docs.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if key != personPrefix+personID(name) && strings.Contains(string(doc.Value), `"`+name+`"`) {
			t.Errorf("%s leads to %s: %s", key, name, doc.Value)
		}
	}
}

// TestWhoComesBackWhileForgotten: somebody who signs in between two writes of a --forget
// is forgotten all the same, and has one name.
func TestWhoComesBackWhileForgotten(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	for write := 1; write <= 3; write++ {
		s := virtual(t, testConfig(provider))
		docs := s.docs.(*memory)
		alice := identity{Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre"}}
		begun(t, s, alice)
		token, writes := "", 0
		docs.before = func(string) {
			if writes++; writes == write {
				docs.before = nil
				token = begun(t, s, alice)
			}
		}
		if err := s.shutOut(t.Context(), "alice", true); err != nil || token == "" {
			t.Fatal(token, err)
		}
		if who, err := seen(s, token); err == nil {
			t.Errorf("back before write %d, and still in: %+v", write, who)
		}
		isForgotten(t, s, "alice")
		alice.Name = "alice2"
		begun(t, s, alice)
	}
}
