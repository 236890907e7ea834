package chart

import _ "embed" // for the style

// CSS is the style of all pictures. It reads the page's own colours, --good, --bad,
// --wait, --line (hairlines), --ink (text), --quiet (text that may be overlooked) and
// --paper (what it is drawn on, so a card with another ground sets it anew), and has
// its own where the page sets none.
//
//go:embed chart.css
var CSS string
