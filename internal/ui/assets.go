package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"path"
	"strings"

	"github.com/backout-io/backout/internal/chart"
)

//go:embed assets
var assetFiles embed.FS

// Asset is a file that pages load: script, style or icon. Its name changes with its
// content, so that a browser may keep it for ever.
type Asset struct {
	Type string
	Data []byte
	// Gzip is Data compressed.
	Gzip []byte
}

// assets are the files by the names that pages ask for, assetNames those by the names in
// the folder.
var assets, assetNames = readAssets()

var types = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

func readAssets() (byName map[string]Asset, names map[string]string) {
	byName, names = map[string]Asset{}, map[string]string{}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // our own files
	}
	for _, entry := range entries {
		kind, known := types[path.Ext(entry.Name())]
		if !known {
			continue // a licence
		}
		data, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err)
		}
		if strings.HasSuffix(entry.Name(), ".css") {
			data = append(data, styles()...)
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		byName[name], names[entry.Name()] = Asset{Type: kind, Data: data, Gzip: compressed(data)}, name
	}
	return byName, names
}

// styles are those of what other packages draw.
func styles() string { return chart.CSS }

func compressed(data []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is known
	}
	_, _ = z.Write(data) // into memory
	_ = z.Close()
	return out.Bytes()
}

// AssetNamed returns the asset that pages ask for by this name.
func AssetNamed(name string) (Asset, bool) {
	a, ok := assets[name]
	return a, ok
}
