package app

import (
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/engine"
)

// insight is the engine's with what only the whole server knows.
type insight struct {
	*engine.Engine
	app *App
}

var (
	_ handlers.Insight   = insight{}
	_ authorized.Replays = insight{}
)
