package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The shop is a directory with a release in it and a process that serves it. It
// works while the release and the schema of its data fit together.
const (
	releaseFile = "release"
	schemaFile  = "schema"
)

// ShopEnv names the shop's directory to a process of this program that is to be
// the shop.
const ShopEnv = "BACKOUT_DEMO_SHOP"

// Serve runs the shop in the foreground until ctx ends: what the demo starts as a
// process of its own. It prints its address once it listens.
func Serve(ctx context.Context, dir string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: shopHandler(dir), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shopHandler answers /health from the files as they are now.
func shopHandler(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		healthy := 0
		if read(dir, releaseFile) == "1.0" && read(dir, schemaFile) == "1" {
			healthy = 1
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprintf(w, "# TYPE shop_healthy gauge\nshop_healthy %d\n", healthy)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		release, schema := read(dir, releaseFile), read(dir, schemaFile)
		if release != "1.0" || schema != "1" {
			http.Error(w, fmt.Sprintf("release %s cannot read orders of schema %s", release, schema), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, "release %s answers\n", release)
	})
	return mux
}

func read(dir, name string) string {
	data, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the demo's own files
	if err != nil {
		return "missing"
	}
	return strings.TrimSpace(string(data))
}

// The scripts the demo's plan and patch run. The patch changes release and
// schema; uninstalling it brings the release back and leaves the schema, which is
// why L1 does not help.
var scripts = map[string]string{
	"apply-patch": `#!/bin/sh
set -eu
echo "installing release 2.0"
echo 2.0 >"$SHOP/release"
echo "migrating the orders to schema 2"
echo 2 >"$SHOP/schema"
`,
	"uninstall-patch": `#!/bin/sh
set -eu
shop=$(cat "$(dirname "$0")/shop")
echo "uninstalling the patch of $1: release 2.0 -> 1.0"
echo 1.0 >"$shop/release"
`,
	"restore-snapshot": `#!/bin/sh
set -eu
shop=$(cat "$(dirname "$0")/shop")
snapshot=$(dirname "$0")/../snapshot
echo "restoring the snapshot of $shop"
for file in "$snapshot"/*; do
  cp "$file" "$shop/$(basename "$file").new"
  mv "$shop/$(basename "$file").new" "$shop/$(basename "$file")"
done
echo "release $(cat "$shop/release"), schema $(cat "$shop/schema")"
`,
}

// install lays out the shop, its snapshot and the scripts.
func install(dir string) error {
	contents := map[string]string{releaseFile: "1.0\n", schemaFile: "1\n"}
	for name, content := range contents {
		for _, place := range []string{"shop", "snapshot"} {
			if err := writeFile(filepath.Join(dir, place, name), []byte(content), 0o600); err != nil {
				return err
			}
		}
	}
	for name, script := range scripts {
		if err := writeFile(filepath.Join(dir, "bin", name), []byte(script), 0o700); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(dir, "bin", "shop"), []byte(filepath.Join(dir, "shop")), 0o600)
}

// startShop runs the shop as a process of its own and returns its address.
func startShop(ctx context.Context, program, dir string) (*exec.Cmd, string, error) {
	cmd := exec.CommandContext(ctx, program, "demo") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), ShopEnv+"="+filepath.Join(dir, "shop"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("start shop: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start shop: %w", err)
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		return cmd, "", fmt.Errorf("shop did not start: %w", err)
	}
	return cmd, strings.TrimSpace(string(line[:n])), nil
}
