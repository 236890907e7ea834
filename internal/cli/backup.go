package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/backup"
	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) backupCommand() *cobra.Command {
	var config string
	var verify bool
	cmd := &cobra.Command{
		Use: "backup FILE|-", Short: "Copy the whole store into a file", Args: cobra.ExactArgs(1),
		Long: `Copy everything the store holds into one file, while the server runs or not, and read
the copy once more. A store that is damaged is not copied: the reason is printed.

The running server is asked (--server, with an API token). With --config the store
that the config names is read instead: of the user's own NATS always, of the embedded
one when no server runs on it; if one does, it is asked. --verify only checks a file.
The file is for its owner alone to read; "-" is the standard output.`,
		Example: "  backout backup /var/backups/backout.backup\n  backout backup --config /etc/backout/backout.yaml - | ssh vault 'cat >backout.backup'\n  backout backup --verify /var/backups/backout.backup",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.CheckBackup == nil || p.Backup == nil {
				return errMissing
			}
			if verify {
				return p.verifyBackup(args[0])
			}
			return p.takeBackup(cmd.Context(), config, args[0])
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", p.Getenv("BACKOUT_CONFIG"), "read the store of this config file (env BACKOUT_CONFIG)")
	cmd.Flags().Lookup("config").DefValue = ""
	cmd.Flags().BoolVar(&verify, "verify", false, "check FILE, and write nothing")
	return cmd
}

func (p *program) restoreCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Fill an empty store from a backup", Args: cobra.ExactArgs(1),
		Long: `Fill the store that the config names from a backup: an embedded one, or one on the
user's own NATS; either may have been the other. The store must be empty, and no
server may run on it. Afterwards the pause switch is on: start the server, look at
open changes and rollbacks, then "backout resume".`,
		Example: "  backout restore /var/backups/backout.backup --config /etc/backout/backout.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.Restore == nil {
				return errMissing
			}
			contents, err := p.Restore(cmd.Context(), config, args[0])
			if err != nil {
				return err
			}
			return p.print(contents, func(s view.Style) string { return view.Restored(contents, s) })
		},
	}
	p.configFlag(cmd, &config)
	return cmd
}

func (p *program) verifyBackup(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("check backup: %w", err)
	}
	defer func() { _ = f.Close() }()
	contents, err := p.CheckBackup(f)
	if err != nil {
		return err
	}
	return p.print(contents, func(s view.Style) string { return view.Backup(contents, s) })
}

// takeBackup writes the backup and checks what it writes.
func (p *program) takeBackup(ctx context.Context, config, file string) error {
	if file == "-" {
		contents, err := p.checked(p.Stdout, func(w io.Writer) error { return p.writeBackup(ctx, config, w) })
		if err != nil {
			return err
		}
		_, err = io.WriteString(p.Stderr, view.Backup(contents, p.style(p.Stderr)))
		return err
	}
	var contents backup.Contents
	err := replaceFile(file, func(w io.Writer) (err error) {
		contents, err = p.checked(w, func(w io.Writer) error { return p.writeBackup(ctx, config, w) })
		return err
	})
	if err != nil {
		return err
	}
	return p.print(contents, func(s view.Style) string { return view.Backup(contents, s) })
}

// writeBackup finds out who has the store.
func (p *program) writeBackup(ctx context.Context, config string, w io.Writer) error {
	if config != "" {
		err := p.Backup(ctx, config, w)
		if !errors.Is(err, ErrStoreInUse) {
			return err
		}
		_, _ = fmt.Fprintf(p.Stderr, "a server runs on this store: asking it at %s\n", view.Clean(p.server))
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	return c.Backup(ctx, w)
}

// checked reads what write writes to w, while it is written.
func (p *program) checked(w io.Writer, write func(io.Writer) error) (backup.Contents, error) {
	reader, copied := io.Pipe()
	var contents backup.Contents
	checked := make(chan error, 1)
	go func() {
		var err error
		contents, err = p.CheckBackup(reader)
		_, _ = io.Copy(io.Discard, reader) // after a damaged piece too
		checked <- err
	}()
	err := write(io.MultiWriter(w, copied))
	_ = copied.Close() // never fails
	if damaged := <-checked; err == nil {
		err = damaged
	}
	return contents, err
}

const (
	// unfinishedFile begins the name of a backup until it is whole.
	unfinishedFile = ".backout-backup-"
	// abandonedAfter is how long nothing was written to an unfinished one whose
	// command is gone.
	abandonedAfter = 24 * time.Hour
)

// sweepBackups removes what commands that were killed have left. What cannot be
// removed is in nobody's way.
func sweepBackups(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), unfinishedFile) || !entry.Type().IsRegular() {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

// replaceFile writes a file that is there as a whole, and synced, or not at all.
func replaceFile(name string, write func(io.Writer) error) error {
	sweepBackups(filepath.Dir(name))
	f, err := os.CreateTemp(filepath.Dir(name), unfinishedFile+"*")
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = write(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return syncFolder(filepath.Dir(name))
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	_ = f.Sync() // some file systems cannot; the file itself is synced
	return f.Close()
}
