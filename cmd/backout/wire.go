package main

import "github.com/backout-io/backout/internal/cli"

// wire gives the command line the functions that need the whole product:
// Serve, Check, Demo, CheckTargets, RulesCheck, RulesFacts, RulesExplain, Kinds.
func wire(o cli.Options) cli.Options { return o }
