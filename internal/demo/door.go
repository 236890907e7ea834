package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// door lets the demo's people in with one click. It is a server of the demo's own beside
// the product's: a link of it is good once, signs somebody in as a browser would, by name
// and password, and hands the browser the session that the product gave for them. A cookie
// does not know ports, so it is good on the dashboard. The product knows nothing of it.
type door struct {
	// server is the product's address.
	server string
	client *http.Client

	mu sync.Mutex
	// keys are the links that are good yet.
	keys map[string]Person
	// opened is closed when the first of them was used.
	opened chan struct{}
	once   sync.Once
}

func newDoor(server string) *door {
	return &door{
		server: server, keys: map[string]Person{}, opened: make(chan struct{}),
		client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// linkFor returns the path of a link that signs the person in, once.
func (d *door) linkFor(p Person) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := strings.ToLower(rand.Text())
	d.keys[key] = p
	return "/" + p.Name + "/" + key
}

// ServeHTTP implements [http.Handler].
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.Method != http.MethodGet {
		http.Error(w, "open this link in a browser", http.StatusMethodNotAllowed)
		return
	}
	p, ok := d.take(name, key)
	if !ok {
		// It was used, or there never was one: whoever has the password gets in all the same.
		http.Redirect(w, r, d.server+"/login", http.StatusSeeOther)
		return
	}
	cookies, err := d.signIn(r.Context(), p, r.UserAgent())
	if err != nil {
		d.giveBack(key, p)
		http.Error(w, "the demo could not sign you in: "+err.Error(), http.StatusBadGateway)
		return
	}
	for _, c := range cookies {
		w.Header().Add("Set-Cookie", c) // as the product made it
	}
	d.once.Do(func() { close(d.opened) })
	http.Redirect(w, r, d.server+"/", http.StatusSeeOther)
}

// take uses the link up.
func (d *door) take(name, key string) (Person, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.keys[key]
	if !ok || p.Name != name {
		return Person{}, false
	}
	delete(d.keys, key)
	return p, true
}

func (d *door) giveBack(key string, p Person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys[key] = p
}

// formField is where the page of the login has what its form must carry.
var formField = regexp.MustCompile(`name="form" value="([0-9a-f]+)"`)

// signIn does what a browser does on the page of the login, and returns what sets the
// cookies that came of it.
func (d *door) signIn(ctx context.Context, p Person, agent string) ([]string, error) {
	page, text, err := d.ask(ctx, http.MethodGet, nil, agent, nil)
	if err != nil {
		return nil, err
	}
	field := formField.FindStringSubmatch(text)
	if page.StatusCode != http.StatusOK || field == nil {
		return nil, fmt.Errorf("the page of the login answered %s", page.Status)
	}
	form := url.Values{"form": {field[1]}, "next": {"/"}, "name": {p.Name}, "password": {p.password}}
	in, _, err := d.ask(ctx, http.MethodPost, form, agent, page.Cookies())
	if err != nil {
		return nil, err
	}
	if in.StatusCode != http.StatusSeeOther {
		return nil, fmt.Errorf("the login answered %s", in.Status)
	}
	return in.Header.Values("Set-Cookie"), nil
}

func (d *door) ask(ctx context.Context, method string, form url.Values, agent string, cookies []*http.Cookie) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.server+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("User-Agent", agent)
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", d.server)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	answer, err := d.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return answer, string(text), err
}

// startDoor serves the door on the server's own name, for that is whose cookies they are.
func (s *story) startDoor(ctx context.Context, host string) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("listen for whoever opens the dashboard: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "", fmt.Errorf("address of the door: %w", err)
	}
	s.door = newDoor("http://" + s.at)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: s.door}
	s.tasks.Go(func() { _ = server.Serve(listener) })
	s.later(func() { _ = server.Close() })
	return "http://" + net.JoinHostPort(host, port), nil
}

// invite says how to get onto the dashboard, and into the channel.
func (s *story) invite(ctx context.Context) error {
	ann, ben := s.people[0], s.people[1]
	if s.o.Exit { // nobody gets there in time by hand
		s.say("dashboard    http://%s/ : sign in as ann with the password %s", s.at, ann.password)
	} else {
		host, _, err := net.SplitHostPort(s.at)
		if err != nil {
			return fmt.Errorf("address of the server: %w", err)
		}
		door, err := s.startDoor(ctx, host)
		if err != nil {
			return err
		}
		s.say("dashboard    open %s%s : it signs you in as ann, who is on call", door, s.door.linkFor(ann))
		s.say("               as a second person, in a private window: %s%s", door, s.door.linkFor(ben))
		s.say("               by hand: http://%s/ as ann with the password %s, or as ben with %s", s.at, ann.password, ben.password)
	}
	s.say("slack        the team's channel, on this machine: open %s and press Hold if you like", s.slackAt)
	return nil
}

// awaitWatcher waits until somebody has opened the dashboard by a link, or long enough.
func (s *story) awaitWatcher(ctx context.Context) error {
	if s.pace.wait == 0 || s.door == nil {
		return nil
	}
	s.say("demo         the story begins when you have opened it, and in %s anyway", s.pace.wait)
	timer := time.NewTimer(s.pace.wait)
	defer timer.Stop()
	select {
	case <-s.door.opened:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
