package client

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Rules lists the rules, what they may do and how they have done.
func (c *Client) Rules(ctx context.Context) ([]handlers.RuleStatus, error) {
	return getList[handlers.RuleStatus](ctx, c, api+"rules", nil)
}

// Explain says what every rule makes of one alert.
func (c *Client) Explain(ctx context.Context, r handlers.ExplainRequest) (handlers.Explained, error) {
	return post[handlers.Explained](ctx, c, api+"rules/explain", r)
}

// PromoteRule lets a rule do more, or less.
func (c *Client) PromoteRule(ctx context.Context, rule string, p handlers.Promotion) (handlers.RuleStatus, error) {
	return post[handlers.RuleStatus](ctx, c, api+"rules/"+url.PathEscape(rule)+"/promote", p)
}

// JudgeRule says whether the rule was right about the change.
func (c *Client) JudgeRule(ctx context.Context, changeID, rule string, agree bool, reason string) (backout.Change, error) {
	body := struct {
		Agree  bool   `json:"agree"`
		Reason string `json:"reason"`
	}{agree, reason}
	return post[backout.Change](ctx, c, changePath(changeID, "/rules/"+url.PathEscape(rule)+"/judge"), body)
}

// History gives fn everything of the server's history between the times, in order,
// with its end as the last entry. A history that was cut off is an error.
func (c *Client) History(ctx context.Context, since, until time.Time, fn func(handlers.HistoryEntry) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	span := url.Values{"since": {since.UTC().Format(time.RFC3339Nano)}, "until": {until.UTC().Format(time.RFC3339Nano)}}
	req, err := c.request(ctx, "GET", api+"history", span, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/x-ndjson")
	watchdog := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing heard for %s", silence)) })
	defer watchdog.Stop()
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	for ended := false; ; {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF) && ended:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the server did not finish the history: %s", cmp.Or(res.Trailer.Get(handlers.BackupErrorTrailer), "it was cut off on the way"))
		case err != nil:
			return c.unreachable(ctx, err)
		case ended:
			return errors.New("the server's history goes on behind its end")
		}
		var entry handlers.HistoryEntry
		if err := decode(c.base.Host, line, &entry); err != nil {
			return err
		}
		// What fn does meanwhile is no silence of the server's.
		watchdog.Stop()
		if err := fn(entry); err != nil {
			return err
		}
		watchdog.Reset(silence)
		ended = entry.End != nil
	}
}

// readLine reads one line of bounded length; a last one without its end was cut off.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxAnswer:
			return nil, fmt.Errorf("a line is larger than %d MiB", maxAnswer>>20)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		default:
			return line, nil
		}
	}
}
