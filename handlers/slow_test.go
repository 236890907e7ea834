package handlers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections stay in memory, so that their deadlines
// follow the clock of a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial opens a connection and sends the headers of a request with alerts.
func (p *pipes) dial(t *testing.T, claims int) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	_, err := fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", webhookPath, claims)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// inMemory serves h on pipes until the bubble ends.
func inMemory(t *testing.T, h *Handler) *pipes {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, p, h, ServerOptions{}) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func answerOf(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res
}

// TestAStalledBodyIs503: Alertmanager gives an alert up at a 4xx, and a sender
// that trickles holds its place no longer than one that stops.
func TestAStalledBodyIs503(t *testing.T) {
	for name, every := range map[string]time.Duration{"stops": time.Hour, "trickles": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				h := handlerFor(t, f)
				start := time.Now()
				conn := inMemory(t, h).dial(t, len(oneWebhook))
				go func() {
					for i := range len(oneWebhook) {
						if _, err := io.WriteString(conn, oneWebhook[i:i+1]); err != nil {
							return
						}
						select {
						case <-time.After(every):
						case <-t.Context().Done():
						}
					}
				}()
				res := answerOf(t, conn)
				if took := time.Since(start); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !res.Close || took != 20*time.Second {
					t.Errorf("answered %d after %v, close %v, %v", res.StatusCode, took, res.Close, res.Header)
				}
				_ = conn.Close()
				if len(f.accepted) != 0 || h.intake.count.Load() != 0 || h.intake.bytes.Load() != 0 || number(t, h, "backout_intake_rejected_total", "stalled") != 1 {
					t.Errorf("accepted %d, %d requests and %d bytes held", len(f.accepted), h.intake.count.Load(), h.intake.bytes.Load())
				}
			})
		})
	}
}

// TestTheBodysDeadlineEndsWithTheBody: the storage may take longer than a body.
func TestTheBodysDeadlineEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{onAccept: func(ctx context.Context, _ Delivery) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		conn := inMemory(t, handlerFor(t, f, func(o *Options) { o.Limits.BodyTimeout = time.Second })).dial(t, len(oneWebhook))
		_, _ = io.WriteString(conn, oneWebhook)
		if res := answerOf(t, conn); res.StatusCode != 200 {
			t.Errorf("answered %d", res.StatusCode)
		}
		_ = conn.Close()
	})
}

// TestClaimsTakeNoRoom: connections that promise much and send nothing keep
// nobody out.
func TestClaimsTakeNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handlerFor(t, &fake{}, func(o *Options) { o.Limits.MaxWaiting, o.Limits.MaxPending = 2, 8<<20 })
		p := inMemory(t, h)
		var idle []net.Conn
		for range 64 {
			idle = append(idle, p.dial(t, 4<<20))
		}
		synctest.Wait()
		conn := p.dial(t, len(oneWebhook))
		_, _ = io.WriteString(conn, oneWebhook)
		if res := answerOf(t, conn); res.StatusCode != 200 {
			t.Errorf("answered %d beside 64 idle connections", res.StatusCode)
		}
		for _, c := range append(idle, conn) {
			_ = c.Close()
		}
	})
}

// TestWhatHasComeIsCharged: a body is refused when it no longer fits, and what
// had come of it is given back.
func TestWhatHasComeIsCharged(t *testing.T) {
	h := handlerFor(t, &fake{}, func(o *Options) { o.Limits.MaxPending = 100_000 })
	body := strings.Replace(oneWebhook, `"alerts"`, `"x":"`+strings.Repeat("x", 100_000)+`","alerts"`, 1)
	for _, size := range []int64{int64(len(body)), -1} {
		r := request("POST", webhookPath, body)
		r.ContentLength = size
		wantError(t, do(h, r), 503, "overloaded", "")
		if h.intake.bytes.Load() != 0 || h.intake.count.Load() != 0 {
			t.Fatalf("%d bytes of %d requests still held", h.intake.bytes.Load(), h.intake.count.Load())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h := handlerFor(t, &fake{})
		conn := inMemory(t, h).dial(t, 4<<20)
		_, _ = io.WriteString(conn, strings.Repeat(" ", 70_000))
		synctest.Wait()
		if n := h.intake.bytes.Load(); n != 70_000 {
			t.Errorf("%d bytes charged, 70000 have come", n)
		}
		_ = conn.Close()
		synctest.Wait()
		if n := h.intake.bytes.Load(); n != 0 {
			t.Errorf("%d bytes still held after the sender left", n)
		}
	})
}

func TestBodiesOfEverySizeArriveWhole(t *testing.T) {
	for _, fill := range []int{0, firstRead - len(oneWebhook) - 7, firstRead - len(oneWebhook), 2*firstRead - 1, 2 * firstRead, 1 << 20} {
		body := strings.Replace(oneWebhook, `"alerts"`, `"x":"`+strings.Repeat("x", fill)+`","alerts"`, 1)
		for name, slow := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "with its end": iotest.DataErrReader} {
			for _, size := range []int64{int64(len(body)), -1} {
				f := &fake{}
				h := handlerFor(t, f)
				r := request("POST", webhookPath, body)
				r.Body, r.ContentLength = io.NopCloser(slow(strings.NewReader(body))), size
				if w := do(h, r); w.Code != 200 || len(f.accepted) != 1 || string(f.accepted[0].Body) != body {
					t.Errorf("%d bytes, %s, declared %d: answered %d %s", len(body), name, size, w.Code, w.Body)
				}
				if h.intake.bytes.Load() != 0 || h.intake.count.Load() != 0 {
					t.Errorf("%d bytes: still held", len(body))
				}
			}
		}
	}
}

// TestDecodingTakesASlot: what a body grows to in decoding is bounded by the
// slots, and who waits for one may leave.
func TestDecodingTakesASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := handlerFor(t, f)
		for range cap(h.decoding) {
			h.decoding <- struct{}{}
		}
		codes := make(chan int, 3)
		for path, body := range map[string]string{webhookPath: oneWebhook, v2Path: oneV2} {
			go func() { codes <- do(h, request("POST", path, body)).Code }()
		}
		ctx, leave := context.WithCancel(t.Context())
		go func() { codes <- do(h, request("POST", webhookPath, `not JSON`).WithContext(ctx)).Code }()
		synctest.Wait()
		if len(codes) != 0 || len(f.accepted) != 0 {
			t.Fatalf("%d answered, %d accepted without a slot", len(codes), len(f.accepted))
		}
		leave()
		if code := <-codes; code != statusClientGone {
			t.Errorf("who left was answered %d", code)
		}
		<-h.decoding
		if a, b := <-codes, <-codes; a != 200 || b != 200 {
			t.Errorf("answered %d and %d", a, b)
		}
		if len(h.decoding) != cap(h.decoding)-1 {
			t.Error("a slot was not given back")
		}
	})
	if got := (Limits{}).withDefaults(); got.MaxPending != 48<<20 {
		t.Errorf("%d bytes may wait", got.MaxPending)
	}
	if got := (Limits{MaxBody: 64 << 20}).withDefaults(); got.MaxPending != 64<<20 {
		t.Errorf("the largest body never fits into %d bytes", got.MaxPending)
	}
}
