package house

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoMergeIsLeftHalfWay: no file of people, program or pipeline has the marks of a
// merge in it. Shell runs up to them and ends there.
func TestNoMergeIsLeftHalfWay(t *testing.T) {
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			if line := lines.Text(); strings.HasPrefix(line, "<<<<<<"+"< ") || strings.HasPrefix(line, ">>>>>>"+"> ") {
				t.Errorf("%s:%d: %s: take the side that is right, and remove the marks", file, n, line)
			}
		}
		return nil // what has lines too long to read is no text
	})
	if err != nil {
		t.Fatal(err)
	}
}
