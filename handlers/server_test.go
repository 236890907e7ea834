package handlers

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// running is a server on a real port of this machine.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, h *Handler, o ServerOptions) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{url: "http://" + ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- Serve(ctx, ln, h, o) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) post(t *testing.T, client *http.Client, path, body string) *http.Response {
	t.Helper()
	res, err := client.Post(r.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res
}

func TestServeStopsGracefully(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	waiting, free := make(chan struct{}), make(chan struct{})
	f := &fake{follow: silentLog, onAccept: func(context.Context, Delivery) error {
		close(waiting)
		<-free
		return nil
	}}
	s := start(t, handlerFor(t, f), ServerOptions{})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()

	stream, err := client.Get(s.url + eventsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	code := make(chan int, 1)
	go func() {
		res, err := client.Post(s.url+webhookPath, "application/json", strings.NewReader(oneWebhook))
		if err != nil {
			code <- 0
			return
		}
		_ = res.Body.Close()
		code <- res.StatusCode
	}()
	<-waiting
	s.stop()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream broke instead of ending: %v", err)
	}
	select {
	case err := <-s.done:
		t.Fatalf("stopped while alerts waited for the storage: %v", err)
	default:
	}
	close(free)
	if got := <-code; got != 200 {
		t.Errorf("the request in flight was answered %d", got)
	}
	if err := <-s.done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := client.Get(s.url + "/livez"); err == nil {
		t.Error("still listens")
	}
}

func TestServeCutsOffWhatOutlastsTheGrace(t *testing.T) {
	waiting := make(chan struct{})
	f := &fake{onAccept: func(ctx context.Context, _ Delivery) error {
		close(waiting)
		<-ctx.Done()
		return ctx.Err()
	}}
	s := start(t, handlerFor(t, f), ServerOptions{Grace: 20 * time.Millisecond})
	go func() {
		res, err := http.Post(s.url+webhookPath, "application/json", strings.NewReader(oneWebhook))
		if err == nil {
			_ = res.Body.Close()
		}
	}()
	<-waiting
	s.stop()
	if err := <-s.done; err == nil || !strings.Contains(err.Error(), "still ran after 20ms") {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := Serve(t.Context(), ln, handlerFor(t, &fake{}), ServerOptions{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeSpeaksTLS(t *testing.T) {
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS()
	defer borrowed.Close()
	s := start(t, handlerFor(t, &fake{}), ServerOptions{TLS: &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS12}})
	client := borrowed.Client()
	client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
	s.url = strings.Replace(s.url, "http:", "https:", 1)
	if res := s.post(t, client, webhookPath, oneWebhook); res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	s.stop()
	client.CloseIdleConnections()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

// TestEventsFlowOverARealConnection: each record arrives when it happens, not
// when a buffer is full.
func TestEventsFlowOverARealConnection(t *testing.T) {
	records := make(chan LogEntry)
	f := &fake{follow: func(ctx context.Context, _ uint64, fn func(LogEntry) error) error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case r, ok := <-records:
				if !ok {
					return nil
				}
				if err := fn(r); err != nil {
					return err
				}
			}
		}
	}}
	s := start(t, handlerFor(t, f), ServerOptions{})
	res, err := http.Get(s.url + eventsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for seq := range uint64(3) {
		records <- record(seq+1, seq == 2)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
		}
		if !strings.Contains(lines.Text(), `"seq":`) {
			t.Fatalf("line %q, %v", lines.Text(), lines.Err())
		}
	}
	close(records)
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Errorf("the stream broke instead of ending: %v", lines.Err())
	}
}

// TestA413ReachesTheSenderWithoutItsBody: a declared length is enough.
func TestA413ReachesTheSenderWithoutItsBody(t *testing.T) {
	s := start(t, handlerFor(t, &fake{}), ServerOptions{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "POST "+webhookPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 413 {
		t.Fatalf("%v %v", res, err)
	}
	_ = res.Body.Close()
}
