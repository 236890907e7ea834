package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
)

// memory is a store of documents in memory.
type memory struct {
	mu   sync.Mutex
	docs map[string]store.Document
	last uint64
	down error
	// before runs before a write, with nothing held.
	before func(key string)
}

func (m *memory) Get(ctx context.Context, key string) (store.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := m.docs[key]
	if err := cmp.Or(m.down, ctx.Err()); err != nil {
		return doc, err
	}
	if !ok {
		return doc, backout.ErrNotFound
	}
	return doc, nil
}

func (m *memory) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if m.before != nil {
		m.before(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(m.down, ctx.Err()); err != nil {
		return 0, err
	}
	if m.docs[key].Revision != revision {
		return 0, fmt.Errorf("put %s: %w", key, backout.ErrConflict)
	}
	if m.docs == nil {
		m.docs = map[string]store.Document{}
	}
	m.last++
	m.docs[key] = store.Document{Value: value, Revision: m.last}
	return m.last, nil
}

func (m *memory) Keys(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.docs {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// all is everything that is kept.
func (m *memory) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m.docs)) {
		b.WriteString(key + " " + string(m.docs[key].Value) + "\n")
	}
	return b.String()
}

// rest are the services that these tests need no more of.
type rest struct{ handlers.Control }

func (rest) Targets(context.Context) ([]backout.Target, error) { return nil, nil }

func grants(_ string, groups []string) []backout.Grant {
	var out []backout.Grant
	if slices.Contains(groups, "sre") {
		out = append(out, backout.Grant{Role: backout.RoleApprover, Labels: map[string]string{"env": "prod"}})
	}
	if slices.Contains(groups, "admins") {
		out = append(out, backout.Grant{Role: backout.RoleAdmin, Everywhere: true})
	}
	return out
}

// glassHash is of "break the glass", at the least cost that is taken.
const glassHash = "$2a$10$C3XxsTQ6wuyPgN52q/.11ODvSuKOZ.jDVpmMaMmXyeiWRdtE5KH1i"

func testConfig(p *Provider) Config {
	return Config{
		Provider: p, Users: []User{{Name: "glass", Hash: glassHash, Groups: []string{"sre"}}, {Name: "root", Hash: glassHash, Groups: []string{"admins"}}},
		Lifetime: 12 * time.Hour, Idle: 2 * time.Hour, RememberGroups: 24 * time.Hour,
		KnownGroup: func(g string) bool { return g == "sre" || g == "admins" }, GroupsOf: func(string) []string { return nil }, GrantsFor: grants,
	}
}

// world is a server that people sign in at.
type world struct {
	t       *testing.T
	docs    *memory
	service *Service
	handler http.Handler
	url     string
	log     strings.Builder
}

// newWorld serves on this machine. config is given the address.
func newWorld(t *testing.T, config func(url string) Config) *world {
	t.Helper()
	w := &world{t: t, docs: &memory{}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.start(w.url, config(w.url))
	return w
}

func (w *world) start(external string, c Config) {
	w.t.Helper()
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return w.log.Write(p)
	}), nil))
	var err error
	if w.service, err = New(Options{Documents: w.docs, ExternalURL: external, Log: log, Version: "1.2.3"}, c); err != nil {
		w.t.Fatal(err)
	}
	w.handler = handlers.New(handlers.Options{Control: rest{}, Sessions: w.service, Pages: append(w.service.Routes(), handlers.PageRoute{Method: "GET", Path: "/rules", Needs: "read", Doc: "d"}), ExternalURL: external, Log: log})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// browser is one person's.
type browser struct {
	*world
	client *http.Client
	// at is where it stands, body what it shows, header what came with it.
	at     *url.URL
	status int
	body   string
	header http.Header
	visits []string
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &browser{world: w}
	b.client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		b.visits = append(b.visits, r.URL.String())
		r.Header.Del("Origin")
		return nil
	}}
	return b
}

func (b *browser) do(r *http.Request) *browser {
	b.t.Helper()
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html")
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.body, b.header = res.Request.URL, res.StatusCode, string(data), res.Header
	return b
}

func (b *browser) get(path string) *browser {
	b.t.Helper()
	r, err := http.NewRequest("GET", b.absolute(path), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

func (b *browser) absolute(path string) string {
	if strings.HasPrefix(path, "/") {
		return b.url + path
	}
	return path
}

// post sends a form as a page of this server does; change makes it something else.
func (b *browser) post(path string, fields url.Values, change ...func(*http.Request)) *browser {
	b.t.Helper()
	r, err := http.NewRequest("POST", b.absolute(path), strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	return b.do(r)
}

var formField = regexp.MustCompile(`name="form" value="([0-9a-f]{64})"`)

// form is the token of the form that the page shows.
func (b *browser) form() string {
	b.t.Helper()
	m := formField.FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("%s shows no form: %d %s", b.at, b.status, b.body)
	}
	return m[1]
}

// cookie is the value of one of this server's cookies.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.url)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.url)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// signIn signs a local user in.
func (b *browser) signIn(name, password string) *browser {
	b.t.Helper()
	b.get("/login")
	return b.post("/login", url.Values{"form": {b.form()}, "next": {"/account"}, "name": {name}, "password": {password}})
}

func (b *browser) want(status int, part string) *browser {
	b.t.Helper()
	if b.status != status || !strings.Contains(b.body, part) {
		b.t.Fatalf("%s: %d, want %d with %q:\n%s", b.at, b.status, status, part, b.body)
	}
	return b
}

// who asks the API who asks, with the browser's cookie.
func (b *browser) who() (who handlers.Who, status int) {
	b.t.Helper()
	b.get("/api/v1/session")
	if b.status == http.StatusOK {
		if err := json.Unmarshal([]byte(b.body), &who); err != nil {
			b.t.Fatal(err)
		}
	}
	return who, b.status
}

// program calls the API, with a token if there is one.
func (w *world) program(method, path, token, body string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("User-Agent", "backout-cli/1.2.3")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(data)
}
