package notifiertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// HTTP is a [Peer] for channels that speak HTTP: a real server on loopback.
type HTTP struct {
	// URL is where it listens, without a path.
	URL string

	t    *testing.T
	take func(w http.ResponseWriter, r *http.Request, body []byte) (Delivery, bool)

	mu         sync.Mutex
	answer     http.HandlerFunc
	deliveries []Delivery
}

// NewHTTP starts one that ends with the test. While it takes deliveries, take reads
// each request, answers it, and says what a reader would get; false when the request
// carries no message of its own.
func NewHTTP(t *testing.T, take func(w http.ResponseWriter, r *http.Request, body []byte) (Delivery, bool)) *HTTP {
	t.Helper()
	h := &HTTP{t: t, take: take}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.URL = server.URL
	return h
}

// ServeHTTP implements [http.Handler].
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Errorf("read a request: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if answer := h.answer; answer != nil {
		h.mu.Unlock()
		defer h.mu.Lock()
		answer(w, r)
		return
	}
	if d, ok := h.take(w, r, body); ok {
		h.deliveries = append(h.deliveries, d)
	}
}

// Set implements [Peer].
func (h *HTTP) Set(a Answer) {
	h.Say(map[Answer]http.HandlerFunc{
		Fail: Status(http.StatusBadGateway), Refuse: Status(http.StatusForbidden), Later: Status(http.StatusTooManyRequests, "Retry-After", "120"),
		Hang: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}[a])
}

// Say answers every request so from now on; nil takes them again.
func (h *HTTP) Say(answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// Deliveries implements [Peer].
func (h *HTTP) Deliveries() []Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.deliveries
	h.deliveries = nil
	return taken
}

// Status answers with a status, headers in pairs, and a body that repeats what the
// caller has sent and the secret itself.
func Status(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		http.Error(w, strings.Join([]string{"you said", r.Header.Get("Authorization"), r.URL.String(), SecretText}, " "), status)
	}
}
