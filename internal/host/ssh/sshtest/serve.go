package sshtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Main is for a TestMain: in the process that [Start] began it is the farm and never
// returns; elsewhere it does nothing.
func Main() {
	arg := os.Getenv(farmEnv)
	if arg == "" {
		return
	}
	if err := serve(arg, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simulated targets:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// far are the simulated targets, in their own process.
type far struct {
	config *ssh.ServerConfig
	out    io.Writer
	rtt    time.Duration
	n      int

	mu sync.Mutex
	// begun are the attempts by target since the last finish, all those that were
	// ever begun; ended is closed by the next finish.
	begun       map[int]bool
	all         map[string]bool
	first, last time.Time
	ended       chan struct{}
	conns       map[net.Conn]bool
	// asked counts the boot ids that were told.
	asked atomic.Int64
}

func serve(arg string, in io.Reader, out io.Writer) error {
	var n, port int
	var micros int64
	var dir string
	if _, err := fmt.Sscanf(arg, "%d %d %d %s", &n, &port, &micros, &dir); err != nil {
		return err
	}
	f := &far{
		out: out,
		rtt: time.Duration(micros) * time.Microsecond, n: n,
		begun: map[int]bool{}, all: map[string]bool{}, ended: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	if err := f.configure(dir); err != nil {
		return err
	}
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address(i), port))
		if err != nil {
			return err
		}
		go f.accept(l, i)
	}
	f.say("ready")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		switch lines.Text() {
		case "finish":
			f.finish()
			f.say("finished")
		case "cut":
			f.cut()
			f.say("cut")
		case "asked":
			f.say("asked", f.asked.Load())
		}
	}
	return nil
}

// say tells the test's process something, in one write.
func (f *far) say(words ...any) { _, _ = fmt.Fprintln(f.out, words...) }

func (f *far) configure(dir string) error {
	host, err := os.ReadFile(filepath.Join(dir, "host"))
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(host)
	if err != nil {
		return err
	}
	user, err := os.ReadFile(filepath.Join(dir, "user.pub"))
	if err != nil {
		return err
	}
	wanted, _, _, _, err := ssh.ParseAuthorizedKey(user)
	if err != nil {
		return err
	}
	f.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(wanted.Marshal()) {
			return nil, fmt.Errorf("another key")
		}
		return &ssh.Permissions{}, nil
	}}
	f.config.AddHostKey(signer)
	return nil
}

func (f *far) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.ended)
	f.ended, f.begun = make(chan struct{}), map[int]bool{}
}

func (f *far) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}

func (f *far) accept(l net.Listener, i int) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go f.connection(late(c, f.rtt), i)
	}
}

func (f *far) connection(c net.Conn, i int) {
	f.mu.Lock()
	f.conns[c] = true
	f.mu.Unlock()
	defer func() {
		_ = c.Close()
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}()
	conn, channels, requests, err := ssh.NewServerConn(c, f.config)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go f.session(channel, requests, i)
	}
}

// session answers one command: its text comes on the standard input, whole, or, for
// what watches an attempt, up to its last line.
func (f *far) session(channel ssh.Channel, requests <-chan *ssh.Request, i int) {
	defer channel.Close()
	var asked struct{ Line string }
	for r := range requests {
		_ = r.Reply(r.Type == "exec", nil)
		if r.Type == "exec" {
			_ = ssh.Unmarshal(r.Payload, &asked)
			break
		}
	}
	go ssh.DiscardRequests(requests)
	var code uint32
	if strings.HasPrefix(asked.Line, "exec ") {
		code = f.answer(channel, readText(channel), i)
	} else {
		f.begin(time.Now().String(), i) // what other tools run
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
}

// readText reads a whole command of package attempt: it ends with the brace that
// closes it.
func readText(r io.Reader) string {
	var text strings.Builder
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		if err != nil || line == "}\n" {
			return text.String()
		}
	}
}

var attemptID = regexp.MustCompile(`(?m)^d=\$b/'?([^'\n]+)`)

// answer says what a real target would, by the marks that tell the texts of package
// attempt apart.
func (f *far) answer(w ssh.Channel, text string, i int) uint32 {
	var id string
	if m := attemptID.FindStringSubmatch(text); m != nil {
		id = m[1]
	}
	switch {
	case id == "" && strings.Contains(text, "boot_id"):
		fmt.Fprintf(w, "boot-%d\n", i)
		f.asked.Add(1)
	case strings.Contains(text, "setsid sh -c"):
		f.begin(id, i)
	case strings.Contains(text, "exec 3<&0"):
		f.mu.Lock()
		ended := f.ended
		f.mu.Unlock()
		<-ended
		facts(w.Stderr(), i, true)
	case id != "":
		f.mu.Lock()
		seen := f.all[id]
		f.mu.Unlock()
		facts(w, i, seen)
	}
	return 0
}

func facts(w io.Writer, i int, seen bool) {
	if !seen {
		fmt.Fprintf(w, "backout-facts-begin\nboot=boot-%d\nseen=0\nbackout-facts-end\n", i)
		return
	}
	fmt.Fprintf(w, "backout-facts-begin\nboot=boot-%d\nseen=1\nclaim=boot-%d 100 1\npid=101 2\nrc=0 %d\nbackout-facts-end\n", i, i, time.Now().Unix())
}

// begin notes the start of an attempt, and says so once one has begun everywhere.
func (f *far) begin(id string, i int) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[id] {
		return
	}
	f.all[id] = true
	if len(f.begun) == 0 {
		f.first = now
	}
	if f.begun[i] = true; len(f.begun) == f.n {
		f.last = now
		f.say("started", f.first.UnixNano(), f.last.UnixNano())
	}
}

// slow is a connection whose bytes arrive later than they were sent.
type slow struct {
	net.Conn
	pieces chan piece
	rest   []byte
}

type piece struct {
	at   time.Time
	data []byte
	err  error
}

// late delays what comes by a whole round trip, so that what goes back need not be.
func late(c net.Conn, rtt time.Duration) net.Conn {
	if rtt <= 0 {
		return c
	}
	s := &slow{Conn: c, pieces: make(chan piece, 256)}
	go func() {
		for {
			buffer := make([]byte, 32<<10)
			n, err := c.Read(buffer)
			s.pieces <- piece{time.Now().Add(rtt), buffer[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return s
}

// Read implements [io.Reader].
func (s *slow) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		next, ok := <-s.pieces
		if !ok {
			return 0, io.EOF
		}
		<-time.After(time.Until(next.at))
		if next.err != nil {
			close(s.pieces)
			return 0, next.err
		}
		s.rest = next.data
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
