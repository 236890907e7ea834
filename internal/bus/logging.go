package bus

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// connOptions are the options of every connection. A write while disconnected
// fails at once: a buffered one would be sent later, when nobody waits for its
// acknowledgement any more.
func connOptions(o Options) []nats.Option {
	log := o.Logger
	name := o.Name
	if name == "" {
		name = "backout"
	}
	return []nats.Option{
		nats.Name(name),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("nats connection reports an error", "subject", subject, "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("nats connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			log.Info("nats connection is back", "server", conn.ConnectedUrlRedacted())
		}),
	}
}

// serverLog hands the embedded server's log lines to slog, and keeps what it warned
// of: it has no other way to say why it gave a stream up.
type serverLog struct {
	log *slog.Logger

	mu       sync.Mutex
	warnings []string
}

// maxWarnings bounds how many warnings are kept, the first ones.
const maxWarnings = 100

// about returns what was warned of the name, as the end of an error.
func (l *serverLog) about(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var said []string
	for _, text := range l.warnings {
		if strings.Contains(text, name) {
			said = append(said, strings.TrimSpace(text))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (NATS says: " + strings.Join(said, "; ") + ")"
}

func (l *serverLog) write(level func(string, ...any), format string, v []any) {
	level("nats server", "text", fmt.Sprintf(format, v...))
}

// Noticef implements [server.Logger].
func (l *serverLog) Noticef(format string, v ...any) { l.write(l.log.Debug, format, v) }

// Warnf implements [server.Logger].
func (l *serverLog) Warnf(format string, v ...any) {
	l.write(l.log.Warn, format, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.warnings) < maxWarnings {
		l.warnings = append(l.warnings, fmt.Sprintf(format, v...))
	}
}

// Fatalf implements [server.Logger]; the server stops itself where it must.
func (l *serverLog) Fatalf(format string, v ...any) { l.write(l.log.Error, format, v) }

// Errorf implements [server.Logger].
func (l *serverLog) Errorf(format string, v ...any) { l.write(l.log.Error, format, v) }

// Debugf implements [server.Logger].
func (l *serverLog) Debugf(format string, v ...any) { l.write(l.log.Debug, format, v) }

// Tracef implements [server.Logger].
func (l *serverLog) Tracef(format string, v ...any) { l.write(l.log.Debug, format, v) }
