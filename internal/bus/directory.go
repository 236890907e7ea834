package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	lockFile   = "backout.lock"
	markerFile = "backout-store.json"
	// markerVersion is the layout this release writes.
	markerVersion = 1
	// kindSingle marks a store of one server. NATS started as a member of a
	// cluster deletes such a store's streams, so nothing else may be pointed at
	// it.
	kindSingle = "single"
)

// marker says whose directory it is and what it must hold.
type marker struct {
	Version int      `json:"version"`
	Kind    string   `json:"kind"`
	Streams []string `json:"streams"`
	// Marks are the last sequences that streams are known to have reached.
	Marks map[string]uint64 `json:"marks,omitempty"`
	// Filling is set while writes are not synced one by one: after a power cut
	// nobody knows what such a directory lacks.
	Filling bool `json:"filling,omitempty"`
}

// ErrInUse says that a running server holds the data directory.
var ErrInUse = errors.New("in use by another backout server")

// directory is a locked data directory.
type directory struct {
	path string
	lock *os.File

	mu     sync.Mutex
	marker marker
}

// claimDirectory makes the directory if it is missing, locks it, reads or writes its
// marker, and makes sure that NATS will be able to read what is there.
func claimDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, unusable(path, err)
	}
	foreign, flags := ofAnother(path), os.O_RDWR
	if foreign == nil {
		flags |= os.O_CREATE
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), flags, 0o600)
	switch {
	case err != nil && foreign != nil:
		return nil, foreign
	case err != nil:
		return nil, unusable(path, err)
	}
	d := &directory{path: path, lock: lock}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is %w: stop that one, or give this one a data_dir of its own", path, ErrInUse)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	err = foreign
	if err == nil {
		err = d.readMarker()
	}
	if err == nil {
		err = d.readable()
	}
	if err != nil {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

func unusable(path string, err error) error {
	fix := "make sure that data_dir names a directory on a disk"
	switch {
	case errors.Is(err, unix.EROFS):
		fix = "it is on a read-only file system; mount it writable or choose another data_dir"
	case errors.Is(err, fs.ErrPermission):
		fix = fmt.Sprintf("give it to the user that runs backout (uid %d), with mode 0750", os.Geteuid())
	case errors.Is(err, unix.ENOSPC):
		fix = "its disk is full; make room"
	}
	return fmt.Errorf("data directory %s cannot be written: %w: %s", path, err, fix)
}

func (d *directory) readMarker() error {
	file := filepath.Join(d.path, markerFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return d.mark()
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	var m marker
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read %s: %w: restore it from a backup", file, err)
	}
	if m.Version > markerVersion {
		return fmt.Errorf("data directory %s was written by a newer release (layout %d, this one knows %d): use that release", d.path, m.Version, markerVersion)
	}
	if m.Filling {
		return fmt.Errorf("data directory %s holds a restore that was not finished: move it away, and restore the backup into an empty directory again", d.path)
	}
	if clustered(d.path) {
		return fmt.Errorf("a NATS server of a cluster was started in data directory %s, and such a server removes the streams of a single one: move the directory away, and restore the last backup into an empty one", d.path)
	}
	if m.Kind != kindSingle {
		return fmt.Errorf("data directory %s is marked as a %q store, not as one of a single server: choose another data_dir", d.path, m.Kind)
	}
	d.marker = m
	return d.tryWrite()
}

// mark claims a directory that has no marker yet. It must not hold a store that
// something else made.
func (d *directory) mark() error {
	store := filepath.Join(d.path, "jetstream")
	if entries, err := os.ReadDir(store); err == nil && len(entries) > 0 {
		return fmt.Errorf("data directory %s holds a NATS store that is not backout's (no %s): choose another data_dir", d.path, markerFile)
	}
	d.marker = marker{Version: markerVersion, Kind: kindSingle, Streams: []string{}}
	return d.writeMarker()
}

// clustered tells whether a member of a cluster has run in the directory: it
// keeps the cluster's own log there.
func clustered(path string) bool {
	_, err := os.Stat(filepath.Join(path, "jetstream", "$SYS", "_js_", "_meta_"))
	return err == nil
}

// HoldsStore tells whether a directory is the data directory of an embedded server
// that has made streams in it.
func HoldsStore(path string) bool {
	var m marker
	data, err := os.ReadFile(filepath.Join(path, markerFile))
	return err == nil && json.Unmarshal(data, &m) == nil && len(m.Streams) > 0
}

// tryWrite finds out early whether the directory takes writes.
func (d *directory) tryWrite() error {
	f, err := os.CreateTemp(d.path, ".backout-try-*")
	if err != nil {
		return unusable(d.path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// tidy removes the empty files by which a start tries whether the directories take
// writes. A crash at that moment leaves one behind, and NATS takes its own for an
// account that is damaged, from the next start on.
func (d *directory) tidy() error {
	for _, pattern := range []string{"jetstream/_test_*", ".backout-try-*"} {
		left, err := fs.Glob(os.DirFS(d.path), pattern)
		if err != nil {
			return fmt.Errorf("tidy %s: %w", d.path, err)
		}
		for _, name := range left {
			name = filepath.Join(d.path, name)
			if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
				continue // not one of these
			}
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("tidy %s: %w", d.path, err)
			}
		}
	}
	return nil
}

func (d *directory) streams() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.marker.Streams)
}

func (d *directory) remember(stream string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.marker.Streams, stream) {
		return nil
	}
	d.marker.Streams = append(d.marker.Streams, stream)
	slices.Sort(d.marker.Streams)
	return d.writeMarker()
}

func (d *directory) forget(stream string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marker.Streams = slices.DeleteFunc(d.marker.Streams, func(s string) bool { return s == stream })
	delete(d.marker.Marks, stream)
	return d.writeMarker()
}

func (d *directory) fill(filling bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marker.Filling = filling
	return d.writeMarker()
}

// Marks keeps how far each stream reaches beside the streams, in the data
// directory, where losing a stream's end does not lose it.
type Marks struct{ dir *directory }

// Load returns the last sequence that each stream is known to have reached.
func (m Marks) Load(context.Context) (map[string]uint64, error) {
	m.dir.mu.Lock()
	defer m.dir.mu.Unlock()
	return maps.Clone(m.dir.marker.Marks), nil
}

// Save replaces the marks; when it returns they are on disk. A crash leaves the
// old ones or the new ones.
func (m Marks) Save(_ context.Context, marks map[string]uint64) error {
	m.dir.mu.Lock()
	defer m.dir.mu.Unlock()
	m.dir.marker.Marks = maps.Clone(marks)
	return m.dir.writeMarker()
}

// writeMarker replaces the marker so that a crash leaves the old or the new one.
func (d *directory) writeMarker() error {
	data, err := json.MarshalIndent(d.marker, "", "  ")
	if err != nil {
		return fmt.Errorf("encode marker: %w", err)
	}
	f, err := os.CreateTemp(d.path, ".backout-store-*")
	if err != nil {
		return unusable(d.path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return unusable(d.path, err)
	}
	if err := os.Rename(f.Name(), filepath.Join(d.path, markerFile)); err != nil {
		return unusable(d.path, err)
	}
	return syncDirectory(d.path)
}

// syncAll syncs every file below path, then every directory.
func syncAll(path string) error {
	var directories []string
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			directories = append(directories, name)
			return nil
		}
		return syncDirectory(name)
	})
	for _, name := range directories {
		err = errors.Join(err, syncDirectory(name))
	}
	return err
}

func syncDirectory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return unusable(path, err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// release frees the lock. The file stays: removing it would let two servers
// lock two files of one name.
func (d *directory) release() error {
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("release data directory %s: %w", d.path, err)
	}
	return nil
}
