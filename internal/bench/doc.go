// Package bench makes the speed of a piece of work comparable between machines,
// and between a quiet machine and a busy one: a figure is a ratio to something
// else that was measured in turn with it, in the same run, in processor time.
//
// [Loop] puts work beside a reference that never changes, [Growth] beside the same
// work on less. What they report is held against the recorded ratios of
// .ci/benchmarks by [Check], so a benchmark is watched by one line there.
package bench
