package client

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func TestTokens(t *testing.T) {
	var got []string
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		_, _ = io.WriteString(w, `{"id":"0123456789abcdef","token":"bo_made","state":"active","items":[{"id":"t1"}]}`)
	})
	made, err := c.CreateToken(t.Context(), handlers.TokenRequest{Note: "ci", Roles: []backout.Role{backout.RoleAuthor}, Everywhere: true})
	if err != nil || made.Token.Reveal() != "bo_made" || made.ID != "0123456789abcdef" {
		t.Errorf("made %v, %v", made.ID, err)
	}
	for _, all := range []bool{false, true} {
		if list, err := c.ListTokens(t.Context(), all); err != nil || len(list) != 1 || list[0].ID != "t1" {
			t.Errorf("listed %+v, %v", list, err)
		}
	}
	if revoked, err := c.RevokeToken(t.Context(), "a/b", "lost"); err != nil || revoked.State != "active" {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	want := []string{
		`POST /api/v1/tokens {"note":"ci","roles":["author"],"everywhere":true}`, "GET /api/v1/tokens ", "GET /api/v1/tokens?all=true ",
		`POST /api/v1/tokens/a%2Fb/revoke {"reason":"lost"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestARefusalCrossesTheWire(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":{"code":"forbidden","message":"forbidden: approve takes the role approver"}}`)
	})
	if _, err := c.ListTokens(t.Context(), true); !errors.Is(err, backout.ErrForbidden) || err.Error() != "forbidden: approve takes the role approver" {
		t.Errorf("got %v", err)
	}
}
