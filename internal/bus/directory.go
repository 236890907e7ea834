package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// marker says whose directory it is and which streams it must hold.
type marker struct {
	Version int      `json:"version"`
	Kind    string   `json:"kind"`
	Streams []string `json:"streams"`
}

// directory is a locked data directory.
type directory struct {
	path string
	lock *os.File

	mu     sync.Mutex
	marker marker
}

// claimDirectory makes the directory if it is missing, locks it, and reads or
// writes its marker.
func claimDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, unusable(path, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unusable(path, err)
	}
	d := &directory{path: path, lock: lock}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by another backout server: stop that one, or give this one a data_dir of its own", path)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	if err := d.readMarker(); err != nil {
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

// tryWrite finds out early whether the directory takes writes.
func (d *directory) tryWrite() error {
	f, err := os.CreateTemp(d.path, ".backout-try-*")
	if err != nil {
		return unusable(d.path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
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
	return d.writeMarker()
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
