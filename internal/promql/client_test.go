package promql_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/promql"
)

// says is a server that answers everything with one text.
func says(t *testing.T, status int, body string) *promql.Client {
	t.Helper()
	return asks(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func asks(t *testing.T, do http.HandlerFunc) *promql.Client {
	t.Helper()
	s := httptest.NewServer(do)
	t.Cleanup(s.Close)
	c, err := promql.NewClient(s.URL, backout.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const vector = `{"status":"success","data":{"resultType":"vector","result":[%s]}}`

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		result string
		want   []float64
	}{
		{``, nil},
		{`{"metric":{},"value":[1.5,"0.25"]}`, []float64{0.25}},
		{`{"metric":{"a":"b"},"value":[1,"1"]},{"metric":{},"value":[1,"-2e3"]}`, []float64{1, -2000}},
		{`{"value":[1,"+Inf"]},{"value":[1,"1e999"]}`, []float64{math.Inf(1), math.Inf(1)}},
	} {
		got, err := says(t, http.StatusOK, fmt.Sprintf(vector, tt.result)).Ask(t.Context(), "up")
		if err != nil || len(got) != len(tt.want) {
			t.Fatalf("%s: %v, %v", tt.result, got, err)
		}
		for i := range got {
			if got[i].Value != tt.want[i] {
				t.Errorf("%s: %v", tt.result, got)
			}
		}
	}
}

// TestHostileAnswersAreErrorsInOneLine: whatever stands behind the URL, the server
// stays up and its log readable.
func TestHostileAnswersAreErrorsInOneLine(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   string
		down   bool
	}{
		{200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "must yield a vector or a scalar", false},
		{200, `{"status":"success","data":{"resultType":"` + strings.Repeat("x", 9999) + `\n","result":[]}}`, "must yield a vector", false},
		{200, `{"status":"success","data":{"resultType":"vector","result":{}}}`, "cannot be read", false},
		{200, `{"status":"success","data":{"resultType":"scalar","result":["1"]}}`, "no number", false},
		{200, `{"status":"success","data":{"resultType":"scalar","result":{"a":1}}}`, "cannot be read", false},
		{200, fmt.Sprintf(vector, `{"value":[1,{"a":1}]}`), "no number", false},
		{200, fmt.Sprintf(vector, `{"value":[1,"1; rm -rf /"]}`), "no number", false},
		{200, fmt.Sprintf(vector, `{"metric":[],"value":[1,"1"]}`), "cannot be read", false},
		{200, `{}`, "status 200", false},
		{200, ``, "no JSON", true},
		{200, `<html>`, "no JSON", true},
		{200, strings.Repeat("[", 5000), "no JSON", true},
		{502, `bad gateway`, "status 502", true},
		{400, "{\"status\":\"error\",\"error\":\"parse\\nerror\\u001b[2J: " + strings.Repeat("é", 5000) + "\"}", "parse error [2J", false},
		{503, `{"status":"error","error":"query timed out"}`, "query timed out", false},
	} {
		_, err := says(t, tt.status, tt.body).Ask(t.Context(), "up")
		if err == nil || !strings.Contains(err.Error(), tt.want) || promql.IsDown(err) != tt.down {
			t.Errorf("%.80s: %v (down %v)", tt.body, err, promql.IsDown(err))
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 1000 {
			t.Errorf("%.80s: error %q", tt.body, err)
		}
	}
}

func TestAnAnswerWithoutEndIsReadToItsBound(t *testing.T) {
	c := asks(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := strings.Repeat(" ", 64<<10)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	})
	if _, err := c.Ask(t.Context(), "up"); err == nil || !strings.Contains(err.Error(), "larger than 1024 KiB") {
		t.Errorf("error %v", err)
	}
}

func TestAnAnswerThatDoesNotComeIsGivenUp(t *testing.T) {
	c := asks(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Ask(ctx, "up"); err == nil || promql.IsDown(err) {
		t.Errorf("error %v, down %v", err, promql.IsDown(err))
	}
}

func TestNobodyThereIsDown(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	c, err := promql.NewClient(s.URL, backout.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := c.Ask(t.Context(), "up"); !promql.IsDown(err) {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{"", "prometheus:9090", "ftp://x", "http://", "\x00"} {
		if _, err := promql.NewClient(bad, backout.Secret{}); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

// FuzzFill: a name that is filled in never ends its string, whatever the query.
func FuzzFill(f *testing.F) {
	for _, seed := range []string{`up{a={target}}`, `up{a="{address}:9100"}`, `up{a='{target}'} # {target}`, "up{a=`{target}`}", `"\"{target}"`, `'`, `{target`, "\"\\", `"#{target}"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		plain, err := promql.Fill(query, "x", "x")
		if err != nil {
			return
		}
		hostile, err := promql.Fill(query, `x"'x\`, `x"'x\`)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		// What stands outside of strings is the same.
		if a, b := outside(plain), outside(hostile); a != b {
			t.Errorf("%q: outside of strings %q and %q", query, a, b)
		}
	})
}

// outside returns what of a query is no string and no comment.
func outside(query string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quote == 0 && strings.IndexByte("\"'`#", c) >= 0:
			quote = c
		case quote == 0:
			b.WriteByte(c)
		case quote == '#' && c == '\n', quote == c && quote != '#':
			quote = 0
		case c == '\\' && quote != '`' && quote != '#':
			i++
		}
	}
	return b.String()
}
