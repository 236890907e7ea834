package bus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// minDescriptors is how many files a server of a store may have open at least. NATS
// keeps a handful of each stream open, and the rest serves requests.
const minDescriptors = 256

// ofAnother refuses a store that another user's server keeps: the files that are
// written here would not be readable to it. Root refuses a whole directory that is
// somebody's, since root may write where nobody else reads.
func ofAnother(path string) error {
	names := []string{filepath.Join(path, markerFile)}
	if os.Geteuid() == 0 {
		names = append(names, path)
	}
	for _, name := range names {
		if uid, ok := owner(name); ok && uid != os.Geteuid() {
			return fmt.Errorf("data directory %s belongs to %s, and what %s writes there the server could not read: run this as that user, or ask the running server instead", path, called(uid), called(os.Geteuid()))
		}
	}
	return nil
}

// readable makes sure that NATS can open everything below the directory: a stream
// with one file that it cannot read, it deletes as a whole (nats-server 2.15.2).
func (d *directory) readable() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < minDescriptors {
		return fmt.Errorf("data directory %s is not opened with at most %d open files: allow %d at least (ulimit -n, LimitNOFILE=)", d.path, limit.Cur, minDescriptors)
	}
	store := filepath.Join(d.path, "jetstream")
	err := filepath.WalkDir(store, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // there is no store yet, or it is being cleared up
			return nil
		case err != nil:
			return unopened(name, err)
		case entry.IsDir() && strings.HasPrefix(entry.Name(), "."): // deleted, and removed at the next moment
			return fs.SkipDir
		case entry.IsDir():
			err = unix.Faccessat(unix.AT_FDCWD, name, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		case entry.Type().IsRegular():
			err = tryFile(name)
		}
		if err != nil {
			return unopened(name, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("data directory %s cannot be used: %w", d.path, err)
	}
	return nil
}

// tryFile opens a file as NATS will.
func tryFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func unopened(name string, err error) error {
	whose := ""
	if uid, ok := owner(name); ok {
		whose = " (it belongs to " + called(uid) + ")"
	}
	fix := "nothing was done to it; make it readable again, or restore the store from a backup (backout restore, docs/backup.md)"
	switch {
	case errors.Is(err, fs.ErrPermission):
		fix = fmt.Sprintf("give everything in the directory to %s, which runs this (chown -R)", called(os.Geteuid()))
	case errors.Is(err, unix.EROFS):
		fix = "its file system is read-only: mount it writable"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s cannot be opened%s: %w: %s", name, whose, err, fix)
}

// owner returns whose file it is; ok is false when that cannot be told.
func owner(name string) (uid int, ok bool) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// called names a user for people.
func called(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return fmt.Sprintf("user %s (uid %d)", u.Username, uid)
	}
	return fmt.Sprintf("uid %d", uid)
}
