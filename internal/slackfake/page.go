package slackfake

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Page shows one channel as one person sees it, in a browser: a look-alike for demos.
// It works without scripts and takes nothing from other sites.
func (w *Workspace) Page(channel, user string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) { w.show(rw, r, channel, user) })
	mux.HandleFunc("POST /click", func(rw http.ResponseWriter, r *http.Request) {
		_, err := w.Click(r.Context(), user, channel, r.PostFormValue("ts"), r.PostFormValue("action"))
		backToPage(rw, r, err)
	})
	mux.HandleFunc("POST /submit", func(rw http.ResponseWriter, r *http.Request) {
		var err error
		for _, v := range w.Open(user) {
			if v.ID == r.PostFormValue("view") && v.Submit != nil {
				_, err = w.Submit(r.Context(), v, formValues(r, v))
			}
		}
		backToPage(rw, r, err)
	})
	mux.HandleFunc("POST /close", func(rw http.ResponseWriter, r *http.Request) {
		w.locked(func() { delete(w.views, r.PostFormValue("view")) })
		backToPage(rw, r, nil)
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

func formValues(r *http.Request, v View) map[string]string {
	out := map[string]string{}
	for _, b := range v.Blocks {
		out[b.ID] = r.PostFormValue("in." + b.ID)
	}
	return out
}

func backToPage(rw http.ResponseWriter, r *http.Request, err error) {
	to := "/"
	if err != nil {
		to = "/?said=" + url.QueryEscape("Something went wrong: "+err.Error())
	}
	http.Redirect(rw, r, to, http.StatusSeeOther)
}

type shownMessage struct {
	Message
	At      string
	Replies []shownMessage
}

func (w *Workspace) show(rw http.ResponseWriter, r *http.Request, channel, user string) {
	data := struct {
		Nonce, Channel, Said string
		Messages             []shownMessage
		Alone                []Ephemeral
		Views                []View
	}{Nonce: rand.Text(), Said: r.URL.Query().Get("said"), Alone: w.Ephemerals(user), Views: w.Open(user)}
	w.mu.Lock()
	data.Channel = w.channels[channel].Name
	w.mu.Unlock()
	at := map[string]int{}
	for _, m := range w.Messages(channel) {
		one := shownMessage{Message: m, At: m.PostedAt.Format(time.TimeOnly)}
		if i, ok := at[m.Thread]; ok && m.Thread != "" {
			data.Messages[i].Replies = append(data.Messages[i].Replies, one)
			continue
		}
		at[m.TS] = len(data.Messages)
		data.Messages = append(data.Messages, one)
	}
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+data.Nonce+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_ = page.Execute(rw, data)
}

var (
	markupParts = regexp.MustCompile(`<[^<>]*>`)
	bold        = regexp.MustCompile(`\*([^*\n]+)\*`)
	unescape    = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// markup shows Slack's markup: bold, dates and links by their words alone.
func markup(text string) template.HTML {
	var b strings.Builder
	plain := func(s string) {
		s = template.HTMLEscapeString(unescape.Replace(s))
		s = bold.ReplaceAllString(s, "<b>$1</b>")
		b.WriteString(strings.ReplaceAll(s, "\n", "<br>"))
	}
	last := 0
	for _, at := range markupParts.FindAllStringIndex(text, -1) {
		plain(text[last:at[0]])
		_, words, ok := strings.Cut(text[at[0]+1:at[1]-1], "|")
		if !ok {
			words = text[at[0]+1 : at[1]-1]
		}
		b.WriteString(template.HTMLEscapeString(words))
		last = at[1]
	}
	plain(text[last:])
	return template.HTML(b.String()) //nolint:gosec // every part was escaped above
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{"markup": markup}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>#{{.Channel}}</title>
{{if not .Views}}<meta http-equiv="refresh" content="2">{{end}}
<style nonce="{{.Nonce}}">
body{font:15px/1.45 system-ui,sans-serif;max-width:46rem;margin:1rem auto;padding:0 1rem;background:#fff;color:#1d1c1d}
.m{border-top:1px solid #ddd;padding:.6rem 0}.t{color:#616061;font-size:12px}.f{display:grid;grid-template-columns:1fr 1fr;gap:.5rem;margin:.4rem 0}
h2{font-size:17px;margin:.2rem 0}form{display:inline}button{font:inherit;min-height:40px;padding:0 .9rem;margin:.2rem .3rem .2rem 0;border:1px solid #bbb;border-radius:4px;background:#fff;color:inherit}
button.primary{background:#007a5a;color:#fff;border-color:#007a5a}.r{margin-left:1.2rem;border-left:3px solid #ddd;padding-left:.7rem}
.a{background:#fff8e6;padding:.4rem .7rem;margin:.4rem 0}.v{border:2px solid #1264a3;border-radius:6px;padding:.8rem;margin:.8rem 0}textarea{width:100%;font:inherit}
@media (prefers-color-scheme:dark){body{background:#1a1d21;color:#e8e8e8}.m{border-color:#444}button{background:#222529;border-color:#666}.a{background:#3a3222}.t{color:#aaa}}
</style></head><body><h1>#{{.Channel}}</h1><p class="t">A look-alike of a Slack channel, on this machine only.</p>
{{with .Said}}<p class="a" role="status">{{.}}</p>{{end}}
{{define "blocks"}}{{range .Blocks}}
{{if eq .Type "header"}}<h2>{{.Text.Text}}</h2>{{end}}
{{if eq .Type "section"}}{{with .Text}}<div>{{if eq .Type "mrkdwn"}}{{markup .Text}}{{else}}{{.Text}}{{end}}</div>{{end}}{{if .Fields}}<div class="f">{{range .Fields}}<div>{{markup .Text}}</div>{{end}}</div>{{end}}{{end}}
{{if eq .Type "context"}}<div class="t">{{range .Elements}}{{markup .Plain}}{{end}}</div>{{end}}
{{end}}{{end}}
{{define "buttons"}}{{$ts := .TS}}{{range .Blocks}}{{if eq .Type "actions"}}{{range .Elements}}{{if not .URL}}<form method="post" action="/click"><input type="hidden" name="ts" value="{{$ts}}"><input type="hidden" name="action" value="{{.ActionID}}"><button class="{{.Style}}">{{.Text.Text}}</button></form>{{end}}{{end}}{{end}}{{end}}{{end}}
{{range .Views}}<div class="v"><h2>{{.Title.Text}}</h2>{{template "blocks" .}}
{{if .Submit}}<form method="post" action="/submit"><input type="hidden" name="view" value="{{.ID}}">{{range .Blocks}}{{if eq .Type "input"}}<label>{{.Label.Text}}<br><textarea name="in.{{.ID}}" rows="2" required></textarea></label>{{end}}{{end}}<button class="primary">{{.Submit.Text}}</button></form>{{end}}
<form method="post" action="/close"><input type="hidden" name="view" value="{{.ID}}"><button>Close</button></form></div>{{end}}
{{range .Messages}}<div class="m"><div class="t">backout {{.At}}{{if .Edits}} (edited){{end}}</div>{{template "blocks" .}}{{template "buttons" .}}
{{range .Replies}}<div class="r"><div class="t">{{.At}}</div>{{template "blocks" .}}</div>{{end}}</div>{{end}}
{{range .Alone}}<p class="a">Only you can see this: {{markup .Text}}</p>{{end}}
</body></html>
`))
