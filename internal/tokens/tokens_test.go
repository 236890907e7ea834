package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
)

// documents is the store in memory.
type documents struct {
	mu   sync.Mutex
	docs map[string]store.Document
	puts int
	err  error
}

func (d *documents) Get(_ context.Context, key string) (store.Document, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc, ok := d.docs[key]
	if !ok && d.err == nil {
		return doc, backout.ErrNotFound
	}
	return doc, d.err
}

func (d *documents) Keys(_ context.Context, prefix string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.docs)), func(k string) bool { return !strings.HasPrefix(k, prefix) }), d.err
}

func (d *documents) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return d.Put(ctx, key, value, 0)
}

func (d *documents) Put(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return 0, d.err
	}
	if d.docs[key].Revision != revision {
		return 0, backout.ErrConflict
	}
	d.puts++
	d.docs[key] = store.Document{Value: value, Revision: revision + 1}
	return revision + 1, nil
}

// world is a service whose people can change.
type world struct {
	*Service
	docs   *documents
	people map[string]handlers.Actor
	// account is what everybody signs in with.
	account string
	gone    string // the account of who may not act any more
	log     strings.Builder
}

func newWorld() *world {
	w := &world{docs: &documents{docs: map[string]store.Document{}}, people: map[string]handlers.Actor{
		"ann":  person("ann", backout.RoleApprover, backout.RoleAuthor),
		"root": person("root", backout.RoleAdmin),
	}}
	w.Service = New(Options{
		Documents: w.docs, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Now: func(_ context.Context, o Owner) (handlers.Actor, string, error) {
			if p, ok := w.people[o.Name]; ok {
				return p, w.account, nil
			}
			return handlers.Actor{}, w.gone, backout.ErrNotFound
		},
	})
	return w
}

func person(name string, roles ...backout.Role) handlers.Actor {
	p := handlers.Actor{Name: name, Groups: []string{"sre"}, Via: "cli"}
	for _, r := range roles {
		p.Grants = append(p.Grants, backout.Grant{Role: r, Everywhere: true})
	}
	return p
}

func (w *world) make(t *testing.T, r handlers.TokenRequest) handlers.NewToken {
	t.Helper()
	made, err := w.CreateToken(t.Context(), w.people["ann"], r)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var request = handlers.TokenRequest{Note: "pipeline", Roles: []backout.Role{backout.RoleAuthor}, Labels: map[string]string{"team": "web"}}

func TestATokenActsForItsMakerWithWhatItLends(t *testing.T) {
	w := newWorld()
	made := w.make(t, request)
	secret := made.Token.Reveal()
	if !strings.HasPrefix(secret, "bo_") || len(secret) != 3+64 {
		t.Errorf("a token of %d characters", len(secret))
	}
	got, err := w.Bearer(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Grants) != fmt.Sprint(made.Grants) || len(got.Grants) != 1 || got.Grants[0].Everywhere || got.Grants[0].Role != backout.RoleAuthor {
		t.Errorf("it may do %v", got.Grants)
	}
	if got.Name != "ann" || !slices.Equal(got.Groups, []string{"sre"}) || got.TokenID != made.ID || got.Session != "" || !got.LoginAt.IsZero() {
		t.Errorf("it acts as %+v", got)
	}
}

func TestANameThatIsGivenAnewInheritsNoToken(t *testing.T) {
	w := newWorld()
	w.account = "the first ann"
	secret := w.make(t, request).Token.Reveal()
	if _, err := w.Bearer(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.account = "the second ann"
	if got, err := w.Bearer(t.Context(), secret); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("a token of who had the name before acts as %+v, %v", got, err)
	}
}

func TestATokenIsNoMoreThanItsMakerIsNow(t *testing.T) {
	w := newWorld()
	secret := w.make(t, request).Token.Reveal()
	narrowed := w.people["ann"]
	narrowed.Grants = []backout.Grant{{Role: backout.RoleAuthor, Labels: map[string]string{"env": "prod"}}}
	w.people["ann"] = narrowed
	got, err := w.Bearer(t.Context(), secret)
	if err != nil || len(got.Grants) != 1 || len(got.Grants[0].Labels) != 2 {
		t.Errorf("after a narrower role: %v, %v", got.Grants, err)
	}
	w.people["ann"] = person("ann", backout.RoleViewer)
	if got, err := w.Bearer(t.Context(), secret); err != nil || len(got.Grants) != 0 {
		t.Errorf("after the role was taken away: %v, %v", got.Grants, err)
	}
	delete(w.people, "ann")
	if _, err := w.Bearer(t.Context(), secret); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("after its maker left: %v", err)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	with := func(change func(*handlers.TokenRequest)) handlers.TokenRequest {
		r := request
		change(&r)
		return r
	}
	by := person("ann", backout.RoleAuthor)
	scoped := by
	scoped.Grants = []backout.Grant{{Role: backout.RoleAuthor, Labels: map[string]string{"team": "db"}}}
	token := by
	token.TokenID = "t1"
	for name, tt := range map[string]struct {
		by   handlers.Actor
		r    handlers.TokenRequest
		want error
	}{
		"nobody":                {handlers.Actor{}, request, backout.ErrForbidden},
		"no roles of one's own": {person("ann"), request, backout.ErrForbidden},
		"by a token":            {token, request, backout.ErrForbidden},
		"another's role":        {by, with(func(r *handlers.TokenRequest) { r.Roles = []backout.Role{backout.RoleAuthor, backout.RoleApprover} }), backout.ErrForbidden},
		"elsewhere":             {scoped, request, backout.ErrForbidden},
		"somebody not known":    {person("local", backout.RoleAuthor), request, backout.ErrRefused},
		"no note":               {by, with(func(r *handlers.TokenRequest) { r.Note = " " }), backout.ErrInvalid},
		"a long note":           {by, with(func(r *handlers.TokenRequest) { r.Note = strings.Repeat("x", 201) }), backout.ErrInvalid},
		"no role":               {by, with(func(r *handlers.TokenRequest) { r.Roles = nil }), backout.ErrInvalid},
		"an unknown role":       {by, with(func(r *handlers.TokenRequest) { r.Roles = []backout.Role{"root"} }), backout.ErrInvalid},
		"nowhere":               {by, with(func(r *handlers.TokenRequest) { r.Labels = nil }), backout.ErrInvalid},
		"two places":            {by, with(func(r *handlers.TokenRequest) { r.Everywhere = true }), backout.ErrInvalid},
		"a label without name":  {by, with(func(r *handlers.TokenRequest) { r.Labels = map[string]string{"": "web"} }), backout.ErrInvalid},
		"too long":              {by, with(func(r *handlers.TokenRequest) { r.ExpiresIn = backout.Duration(366 * 24 * time.Hour) }), backout.ErrInvalid},
		"over at once":          {by, with(func(r *handlers.TokenRequest) { r.ExpiresIn = 1 }), backout.ErrInvalid},
		"over before":           {by, with(func(r *handlers.TokenRequest) { r.ExpiresIn = -1 }), backout.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if _, err := w.CreateToken(t.Context(), tt.by, tt.r); !errors.Is(err, tt.want) || len(w.docs.docs) > 0 {
				t.Errorf("got %v with %d tokens, want %v", err, len(w.docs.docs), tt.want)
			}
		})
	}
}

func TestATokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		usual, short := w.make(t, request), request
		short.ExpiresIn = backout.Duration(time.Hour)
		made := w.make(t, short)
		if got := usual.ExpiresAt.Sub(usual.CreatedAt); got != 90*24*time.Hour {
			t.Errorf("without a wish it works for %s", got)
		}
		time.Sleep(time.Until(made.ExpiresAt) - time.Nanosecond)
		if _, err := w.Bearer(t.Context(), made.Token.Reveal()); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := w.Bearer(t.Context(), made.Token.Reveal()); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("at its end: %v", err)
		}
		list, err := w.ListTokens(t.Context(), w.people["ann"], false)
		if err != nil || len(list) != 2 || !slices.ContainsFunc(list, func(s handlers.TokenStatus) bool { return s.ID == made.ID && s.State == "expired" }) {
			t.Errorf("listed: %+v, %v", list, err)
		}
		time.Sleep(31 * 24 * time.Hour)
		if list, err = w.ListTokens(t.Context(), w.people["ann"], false); err != nil || len(list) != 1 {
			t.Errorf("long after: %+v, %v", list, err)
		}
	})
}

func TestTheLastUseIsTheHourAndWrittenOnceInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		time.Sleep(25 * time.Minute)
		made := w.make(t, request)
		use := func(want int, hour time.Time) {
			t.Helper()
			for range 3 {
				if _, err := w.Bearer(t.Context(), made.Token.Reveal()); err != nil {
					t.Fatal(err)
				}
			}
			list, err := w.ListTokens(t.Context(), w.people["ann"], false)
			if err != nil || w.docs.puts != want || !list[0].LastUsed.Equal(hour) {
				t.Errorf("%d writes, last used %s, %v; want %d and %s", w.docs.puts, list[0].LastUsed, err, want, hour)
			}
		}
		hour := time.Now().Truncate(time.Hour)
		use(2, hour)
		time.Sleep(34 * time.Minute)
		use(2, hour)
		time.Sleep(2 * time.Minute)
		use(3, hour.Add(time.Hour))
	})
}

func TestRevokedIsOverAtOnce(t *testing.T) {
	w := newWorld()
	made := w.make(t, request)
	got, err := w.RevokeToken(t.Context(), w.people["ann"], made.ID, "left a laptop in a train")
	if err != nil || got.State != "revoked" || got.RevokedBy != "ann" || got.Reason == "" {
		t.Errorf("revoked: %+v, %v", got, err)
	}
	if _, err := w.Bearer(t.Context(), made.Token.Reveal()); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("used after: %v", err)
	}
	again, err := w.RevokeToken(t.Context(), w.people["root"], made.ID, "again")
	if err != nil || again.RevokedBy != "ann" {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
	if _, err := w.RevokeToken(t.Context(), w.people["ann"], "0123456789abcdef", ""); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

// TestAUseDoesNotBringARevokedTokenBack: whatever comes between reading a token and
// noting its use, the end of it stays.
func TestAUseDoesNotBringARevokedTokenBack(t *testing.T) {
	w := newWorld()
	made := w.make(t, request)
	kept, revision, err := w.read(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RevokeToken(t.Context(), w.people["ann"], made.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.used(t.Context(), kept, revision, time.Now())
	if _, err := w.Bearer(t.Context(), made.Token.Reveal()); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("used after: %v", err)
	}
}

func TestOtherPeoplesTokens(t *testing.T) {
	w := newWorld()
	w.people["bob"] = person("bob", backout.RoleAuthor, backout.RoleApprover, backout.RoleOperator)
	made := w.make(t, request)
	if list, err := w.ListTokens(t.Context(), w.people["bob"], false); err != nil || len(list) != 0 {
		t.Errorf("bob sees %+v, %v", list, err)
	}
	if _, err := w.ListTokens(t.Context(), w.people["bob"], true); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("bob asks for all: %v", err)
	}
	if _, err := w.RevokeToken(t.Context(), w.people["bob"], made.ID, ""); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("bob revokes: %v", err)
	}
	if _, err := w.Bearer(t.Context(), made.Token.Reveal()); err != nil {
		t.Errorf("after bob tried: %v", err)
	}
	if list, err := w.ListTokens(t.Context(), w.people["root"], true); err != nil || len(list) != 1 {
		t.Errorf("an admin sees %+v, %v", list, err)
	}
	if got, err := w.RevokeToken(t.Context(), w.people["root"], made.ID, "left"); err != nil || got.RevokedBy != "root" {
		t.Errorf("an admin revokes: %+v, %v", got, err)
	}
	for _, call := range []func() error{
		func() error { _, err := w.ListTokens(t.Context(), handlers.Actor{}, false); return err },
		func() error { _, err := w.RevokeToken(t.Context(), handlers.Actor{}, made.ID, ""); return err },
	} {
		if err := call(); !errors.Is(err, backout.ErrForbidden) {
			t.Errorf("nobody: %v", err)
		}
	}
	if n := strings.Count(w.log.String(), "msg=refused"); n != 4 {
		t.Errorf("%d refusals are in the log, want 4:\n%s", n, w.log.String())
	}
}

func TestWhatIsNoTokenIsNoToken(t *testing.T) {
	w := newWorld()
	secret := w.make(t, request).Token.Reveal()
	asked := 0
	for _, wrong := range []string{"", "bo_", secret[:len(secret)-1], secret + "0", "ob_" + secret[3:], strings.ToUpper(secret), secret[:66] + "g", "bo_" + strings.Repeat("0", 64)} {
		if _, err := w.Bearer(t.Context(), wrong); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("%q: %v", wrong, err)
		}
		asked++
	}
	// A document under the id of another token lets nobody in.
	doc := w.docs.docs[keyPrefix+idOf(hashOf(secret))]
	other := "bo_" + strings.Repeat("1", 64)
	w.docs.docs[keyPrefix+idOf(hashOf(other))] = doc
	if _, err := w.Bearer(t.Context(), other); err == nil {
		t.Error("another token's document lets in")
	}
	w.docs.err = backout.ErrUnavailable
	if _, err := w.Bearer(t.Context(), secret); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("without the store: %v", err)
	}
}

// TestATokenIsNowhereButInItsOneAnswer: what is kept, listed or logged is of no use to
// whoever reads it.
func TestATokenIsNowhereButInItsOneAnswer(t *testing.T) {
	w := newWorld()
	made := w.make(t, request)
	secret := made.Token.Reveal()
	list, err := w.ListTokens(t.Context(), w.people["root"], true)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal([]any{list, made})
	if err != nil {
		t.Fatal(err)
	}
	all := string(shown) + w.log.String() + fmt.Sprintf("%v %+v %#v", made, made, made)
	for _, doc := range w.docs.docs {
		all += string(doc.Value)
	}
	if strings.Contains(all, secret) || strings.Contains(all, secret[3:35]) {
		t.Error("the token can be read")
	}
}

func TestOnePersonHasABoundedNumberOfTokens(t *testing.T) {
	w := newWorld()
	var last handlers.NewToken
	for range maxOwned {
		last = w.make(t, request)
	}
	if _, err := w.CreateToken(t.Context(), w.people["ann"], request); !errors.Is(err, backout.ErrRefused) || !strings.Contains(err.Error(), "revoke") {
		t.Errorf("one more: %v", err)
	}
	if _, err := w.RevokeToken(t.Context(), w.people["ann"], last.ID, ""); err != nil {
		t.Fatal(err)
	}
	last = w.make(t, request)
	for range maxMade - maxOwned - 1 {
		if _, err := w.RevokeToken(t.Context(), w.people["ann"], last.ID, ""); err != nil {
			t.Fatal(err)
		}
		last = w.make(t, request)
	}
	if _, err := w.RevokeToken(t.Context(), w.people["ann"], last.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateToken(t.Context(), w.people["ann"], request); !errors.Is(err, backout.ErrRefused) || !strings.Contains(err.Error(), "within a day") {
		t.Errorf("made and revoked all day: %v", err)
	}
}

// TestATokenOfAnotherAccountHasEnded: what was made with another password, or by whoever had
// the name before, does not work, is said to have ended, and takes no place of those that
// work.
func TestATokenOfAnotherAccountHasEnded(t *testing.T) {
	w := newWorld()
	w.account = "the first ann"
	for range maxOwned {
		w.make(t, request)
	}
	w.account = "the second ann"
	made := w.make(t, request)
	for _, by := range []string{"ann", "root"} {
		list, err := w.ListTokens(t.Context(), w.people[by], by == "root")
		if err != nil || len(list) != maxOwned+1 {
			t.Fatalf("%s: %d %v", by, len(list), err)
		}
		for _, one := range list {
			if want := map[bool]string{true: "active", false: "ended"}[one.ID == made.ID]; one.State != want {
				t.Errorf("%s sees %s as %s, want %s", by, one.ID, one.State, want)
			}
		}
	}
	delete(w.people, "ann") // for a while: nobody knows whose the name will be
	list, err := w.ListTokens(t.Context(), w.people["root"], true)
	if err != nil || slices.ContainsFunc(list, func(s handlers.TokenStatus) bool { return s.State != "active" }) {
		t.Errorf("without their maker: %v %+v", err, list)
	}
	w.gone = "ann, let go" // who may not act, and inherits nothing when they come back
	list, err = w.ListTokens(t.Context(), w.people["root"], true)
	if err != nil || slices.ContainsFunc(list, func(s handlers.TokenStatus) bool { return s.State != "ended" }) {
		t.Errorf("of a name that was let go: %v %+v", err, list)
	}
}

func TestATokenEndsNoOther(t *testing.T) {
	w := newWorld()
	one, other := w.make(t, request), w.make(t, request)
	by, err := w.Bearer(t.Context(), one.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RevokeToken(t.Context(), by, other.ID, ""); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("a token revokes another: %v", err)
	}
	if got, err := w.RevokeToken(t.Context(), by, one.ID, "leaked"); err != nil || got.RevokedBy != "ann" {
		t.Errorf("a token revokes itself: %+v %v", got, err)
	}
}
