package slackfake

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are what a workspace is made of. Empty tokens are refused by the API.
type Options struct {
	// Team is the workspace's id (T…).
	Team string
	// BotToken is the installed app's, AppToken its app-level token for Socket Mode.
	BotToken, AppToken string
	// Scopes are the bot's; nil means all that backout asks for.
	Scopes []string
	// AppScopes are the app-level token's; nil means connections:write.
	AppScopes []string
	// SigningSecret signs what is sent to RequestURL.
	SigningSecret string
	// RequestURL gets interactions over HTTP; empty means Socket Mode.
	RequestURL string
	// Unlimited answers any number of calls, for measuring.
	Unlimited bool
	// Skew is by how much this workspace's clock is ahead.
	Skew time.Duration
}

// User is an account as users.info shows it.
type User struct {
	ID   string
	Name string
	// Team is where the account belongs; empty means this workspace.
	Team string
	// Deleted accounts are deactivated, Guest ones restricted.
	Deleted, Guest bool
}

// Channel is a conversation.
type Channel struct {
	ID, Name string
	Private  bool
	// Member says that the app was invited.
	Member bool
}

// Message is one message of a channel as it stands now.
type Message struct {
	Channel, TS string
	// Thread is the message it replies to, empty for one in the channel itself;
	// Broadcast replies are shown there too.
	Thread    string
	Broadcast bool
	Text      string
	Blocks    []Block
	// Metadata is the event payload that came with it, as JSON.
	Metadata string
	// PostedAt and EditedAt are when it was last written; Edits counts the edits.
	PostedAt, EditedAt time.Time
	Edits              int
}

// Ephemeral is a message that only one person sees.
type Ephemeral struct {
	Channel, User, Text string
	Blocks              []Block
}

// Call is one request to the Web API and how it was answered: ok, ratelimited, or
// the error's code.
type Call struct {
	Method, Answer string
	At             time.Time
}

// Workspace is a Slack workspace. Its methods may be called from several goroutines.
type Workspace struct {
	o Options

	mu         sync.Mutex
	changed    chan struct{} // closed and made anew whenever something changes
	users      map[string]User
	channels   map[string]Channel
	messages   []Message
	ephemerals []Ephemeral
	views      map[string]View
	triggers   map[string]time.Time
	calls      []Call
	limited    map[string]time.Time
	failing    map[string]string
	spent      map[string][]time.Time
	down       bool
	lastTS     int64

	sockets sockets
	http    *http.Client
}

// Scopes are the bot scopes that backout asks for.
func Scopes() []string {
	return []string{"channels:read", "chat:write", "groups:read", "users:read"}
}

// New makes a workspace without people and channels.
func New(o Options) *Workspace {
	if o.Scopes == nil {
		o.Scopes = Scopes()
	}
	if o.AppScopes == nil {
		o.AppScopes = []string{"connections:write"}
	}
	w := &Workspace{
		o: o, changed: make(chan struct{}), users: map[string]User{}, channels: map[string]Channel{}, views: map[string]View{},
		triggers: map[string]time.Time{}, limited: map[string]time.Time{}, failing: map[string]string{}, spent: map[string][]time.Time{},
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: AckWithin},
	}
	w.sockets = sockets{w: w, tickets: map[string]bool{}, waiting: map[string]chan []byte{}}
	return w
}

func (w *Workspace) now() time.Time { return time.Now().Add(w.o.Skew) }

// locked runs fn and tells those who wait that something may be different.
func (w *Workspace) locked(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
	close(w.changed)
	w.changed = make(chan struct{})
}

// SetRequestURL sends interactions over HTTP from now on.
func (w *Workspace) SetRequestURL(url string) { w.locked(func() { w.o.RequestURL = url }) }

// Put adds a person, or replaces them.
func (w *Workspace) Put(u User) {
	if u.Team == "" {
		u.Team = w.o.Team
	}
	w.locked(func() { w.users[u.ID] = u })
}

// PutChannel adds a channel, or replaces it.
func (w *Workspace) PutChannel(c Channel) { w.locked(func() { w.channels[c.ID] = c }) }

// Limit answers a method (every one when it is "") with 429 for so long.
func (w *Workspace) Limit(method string, d time.Duration) {
	w.locked(func() { w.limited[method] = time.Now().Add(d) })
}

// Fail answers a method with an error's code, until it is "".
func (w *Workspace) Fail(method, code string) { w.locked(func() { w.failing[method] = code }) }

// SetDown answers everything with 503, or no more.
func (w *Workspace) SetDown(down bool) {
	w.locked(func() { w.down = down })
	if down {
		w.DropSockets()
	}
}

// Messages lists a channel's messages, replies too, oldest first.
func (w *Workspace) Messages(channel string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.messages {
		if m.Channel == channel {
			out = append(out, m)
		}
	}
	return out
}

// Cards lists the messages of a channel that are no replies, oldest first.
func (w *Workspace) Cards(channel string) []Message {
	return slices.DeleteFunc(w.Messages(channel), func(m Message) bool { return m.Thread != "" })
}

// Ephemerals lists what one person alone was shown, oldest first.
func (w *Workspace) Ephemerals(user string) []Ephemeral {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Ephemeral
	for _, e := range w.ephemerals {
		if e.User == user {
			out = append(out, e)
		}
	}
	return out
}

// Calls lists the calls of a method, oldest first.
func (w *Workspace) Calls(method string) []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.calls), func(c Call) bool { return c.Method != method })
}

// Changed returns a channel that is closed at the next change of anything.
func (w *Workspace) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// nextTS names a message by its time, as Slack does; no two are alike.
func (w *Workspace) nextTS() string {
	w.lastTS = max(w.lastTS+1, w.now().UnixMicro())
	return fmt.Sprintf("%d.%06d", w.lastTS/1e6, w.lastTS%1e6)
}

func newID(prefix string) string { return prefix + strings.ToUpper(rand.Text()[:10]) }
