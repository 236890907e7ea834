package webconfig

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds the files; a certificate chain takes some 10 KiB.
const maxFile = 1 << 20

// read reads a regular file and notes how it looked before.
func (l *loader) read(path string) ([]byte, error) {
	s := look(path)
	l.file.stamps = append(l.file.stamps, s)
	switch {
	case s.err != nil:
		return nil, fmt.Errorf("cannot be opened: %w", bare(s.err))
	case !s.regular:
		return nil, errors.New("not a regular file")
	case s.size > maxFile:
		return nil, fmt.Errorf("larger than %d KiB", maxFile>>10)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", bare(err))
	}
	return data, nil
}

// bare takes the path off, which the problem names already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// piece is a PEM text: inline, or of a file.
func (l *loader) piece(inline, file, keyInline, keyFile string) (data []byte, ok bool) {
	switch {
	case inline != "" && file != "":
		l.problem(fmt.Sprintf("both %s and %s are given", keyInline, keyFile), "keep one", tlsKey, keyInline)
		return nil, false
	case inline != "":
		return []byte(inline), true
	case file == "":
		return nil, true
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(l.dir, file)
	}
	data, err := l.read(file)
	if err != nil {
		l.problem(fmt.Sprintf("%s: file %s %v", keyFile, file, err), "", tlsKey, keyFile)
		return nil, false
	}
	if len(data) == 0 {
		l.problem(fmt.Sprintf("%s: file %s is empty", keyFile, file), "", tlsKey, keyFile)
		return nil, false
	}
	return data, true
}

// given is the key that is there, for the place of a problem.
func given(inline, keyInline, keyFile string) string {
	if inline != "" {
		return keyInline
	}
	return cmp.Or(keyFile, keyInline)
}
