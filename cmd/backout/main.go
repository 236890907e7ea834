// Command backout rolls back a patch when it turns the dashboard red.
//
// "backout demo" shows the whole way on one machine; "backout help" names the
// commands; docs/cli.md holds all of it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/backout-io/backout/executors/http"
	"github.com/backout-io/backout/internal/cli"
)

func main() { os.Exit(run()) }

// run returns the exit code, so that deferred calls are made.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to stop gracefully; the second one is not caught.
	context.AfterFunc(ctx, stop)
	if len(os.Args) > 1 && os.Args[1] == http.Program {
		return http.Main(ctx, os.Stdout)
	}
	return cli.Run(ctx, os.Args[1:], wire(cli.Options{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	}))
}
