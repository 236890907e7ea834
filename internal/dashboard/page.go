package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/ui"
)

// whole serves the page at once.
func (d *Dashboard) whole(p page) func(http.ResponseWriter, *http.Request, handlers.Actor) error {
	return func(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
		params := p.params
		if p.live {
			params = append(slices.Clone(params), "again")
		}
		get, err := handlers.Query(r, params...)
		if err != nil {
			return err
		}
		q := &query{by: by, r: r, get: get, now: time.Now()}
		content, err := p.build(r.Context(), q)
		if err != nil {
			return err
		}
		return d.write(w, q, p, http.StatusOK, "", content)
	}
}

// write answers with the page. problem is what was wrong with what was sent.
func (d *Dashboard) write(w http.ResponseWriter, q *query, p page, status int, problem string, content ui.Content) error {
	frame, err := d.frame(q.r.Context(), q, p)
	if err != nil {
		return err
	}
	frame.Problem = problem
	return answer(w, q.r, status, frame, content)
}

// answer writes a page that was rendered whole.
func answer(w http.ResponseWriter, r *http.Request, status int, frame ui.Frame, content ui.Content) error {
	frame.Nonce = rand.Text()
	var out bytes.Buffer
	if err := ui.Write(&out, frame, content); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", ui.Policy(frame.Nonce))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept-Encoding")
	body := out.Bytes()
	if takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		body = squeezed(body)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is nobody's concern
	return nil
}

// squeezed compresses a page. No page holds a secret beside what its reader sent, so its
// length tells nobody anything.
func squeezed(page []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(page) // into memory
	_ = z.Close()
	return out.Bytes()
}

func takesGzip(r *http.Request) bool {
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		if name, params, _ := strings.Cut(strings.TrimSpace(coding), ";"); strings.EqualFold(name, "gzip") {
			return strings.ReplaceAll(params, " ", "") != "q=0"
		}
	}
	return false
}

// frame is what stands around every page: how the server is.
func (d *Dashboard) frame(ctx context.Context, q *query, p page) (ui.Frame, error) {
	f := ui.Frame{Now: q.now, Version: d.o.Version, Base: d.o.Base, Here: p.here, Who: q.by.Name, People: d.o.People}
	if p.live {
		if f.Path, f.Live = q.r.URL.Path, p.liveAt; f.Live == "" {
			f.Live = strings.TrimSuffix(f.Path, "/") + "/live"
		}
		asks := q.r.URL.Query()
		f.Again = asks.Get("again") == "1"
		asks.Del("again")
		if asked := asks.Encode(); asked != "" {
			f.Path, f.Live = f.Path+"?"+asked, f.Live+"?"+asked
		}
	}
	control := d.o.Services.Control
	if err := control.Ready(); err != nil {
		f.NotReady = err.Error()
	}
	watched, err := control.Monitoring(ctx)
	if err != nil {
		return f, fmt.Errorf("look at monitoring: %w", err)
	}
	f.Unwatched = !watched.Watched
	if watched.Blind {
		f.Blind = &ui.Blind{Since: watched.BlindSince, LastSeen: watched.LastSeen}
	}
	paused, err := control.PauseState(ctx)
	if err != nil {
		return f, fmt.Errorf("look at the pause switch: %w", err)
	}
	if paused.On {
		f.Paused = &ui.Pause{By: paused.By, Reason: paused.Reason, At: paused.At}
	}
	f.MayPause = d.o.Services.May(q.by, access.ActionStop, nil)
	f.MayResume = d.o.Services.May(q.by, access.ActionGoOn, nil)
	return f, nil
}

// serveAsset serves a file that pages load. Its name is its content's, so that it may be
// kept for ever.
func serveAsset(w http.ResponseWriter, r *http.Request, _ handlers.Actor) error {
	asset, ok := ui.AssetNamed(r.PathValue("name"))
	if !ok {
		return handlers.Refuse(http.StatusNotFound, "not_found", "there is no such file: load the page again")
	}
	w.Header().Set("Content-Type", asset.Type)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Add("Vary", "Accept-Encoding")
	body := asset.Data
	if takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		body = asset.Gzip
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return nil
}
