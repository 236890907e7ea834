package view

import "strings"

// cell is one value of a table: its cleaned text and its meaning.
type cell struct {
	text string
	tone tone
}

// data makes a cell of text from outside.
func data(s string) cell { return cell{text: orDash(text(s))} }

// signed makes a cell of a state.
func (s Style) signed(g sign) cell {
	icon := g.ascii
	if s.Unicode {
		icon = g.icon
	}
	return cell{icon + " " + g.word, g.tone}
}

// table aligns rows under a header. On a terminal the last column is cut so that
// a line never wraps; a pipe gets everything.
func (s Style) table(header []string, rows [][]cell) string {
	widths := make([]int, len(header))
	for i, h := range header {
		widths[i] = len(h)
	}
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], Columns(c.text))
		}
	}
	var b strings.Builder
	head := make([]cell, len(header))
	for i, h := range header {
		head[i] = cell{h, toneBold}
	}
	s.row(&b, head, widths)
	for _, row := range rows {
		s.row(&b, row, widths)
	}
	return b.String()
}

func (s Style) row(b *strings.Builder, row []cell, widths []int) {
	used := 0
	for i, c := range row {
		if i > 0 {
			b.WriteString("  ")
			used += 2
		}
		value := c.text
		if s.Width > 0 {
			value = s.cut(value, max(1, s.Width-used))
		}
		b.WriteString(s.paint(c.tone, value))
		if i < len(row)-1 {
			pad := widths[i] - Columns(value)
			if s.Width > 0 {
				pad = min(pad, max(0, s.Width-used-Columns(value)))
			}
			b.WriteString(strings.Repeat(" ", max(0, pad)))
			used += Columns(value) + max(0, pad)
		}
		if s.Width > 0 && used >= s.Width-3 {
			break
		}
	}
	b.WriteByte('\n')
}

// fields lays out names and values, one a line; empty values are left out.
func (s Style) fields(pairs ...string) string {
	widest := 0
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			widest = max(widest, len(pairs[i]))
		}
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		b.WriteString(s.paint(toneDim, pairs[i]) + strings.Repeat(" ", widest-len(pairs[i])+2) + pairs[i+1] + "\n")
	}
	return b.String()
}
