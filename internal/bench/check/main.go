// Command check holds the ratios in what go test -bench has printed against the
// recorded ones, and fails when one is worse, missing or not recorded:
//
//	go run ./internal/bench/check .ci/benchmarks bin/phase-bench.txt
package main

import (
	"fmt"
	"os"

	"github.com/backout-io/backout/internal/bench"
)

const module = "github.com/backout-io/backout"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("give the recorded ratios, and what go test has printed")
	}
	records, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer records.Close()
	recorded, err := bench.Recorded(records)
	if err != nil {
		return fmt.Errorf("read %s: %w", args[0], err)
	}
	printed, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer printed.Close()
	measured, err := bench.Measured(printed, module)
	if err != nil {
		return fmt.Errorf("read %s: %w", args[1], err)
	}
	wrong := bench.Check(recorded, measured)
	for _, line := range wrong {
		fmt.Fprintln(os.Stdout, line)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d ratios are not as recorded", len(wrong), max(len(recorded), len(measured)))
	}
	fmt.Fprintf(os.Stdout, "%d ratios are as recorded\n", len(recorded))
	return nil
}
