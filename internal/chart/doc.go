// Package chart draws the pictures of the pages as inline SVG: what was red when
// ([Bands]), how long levels took ([Durations]), which windows there are
// ([Calendar]), and what rules would have done ([Replay]). Each is filled in by its
// page and has two methods: SVG is the picture, Words says the same in sentences, for
// people who do not see it and for everybody who wants to read it.
//
// The package is pure. The same picture is always the same bytes, so a page that has
// not changed need not be sent again.
//
// # On a page
//
// [CSS] goes into the page's style once. A picture is as wide as what it stands in,
// and never narrower than its own Width: put it into an element that scrolls
// sideways, and the words into a details element below. Two pictures on a page need
// different IDs. There is no style attribute, no style element and no script in a
// picture, so that the strictest policy lets it through.
//
// # What it promises
//
// Every state is a word, a shape and a colour; nothing is told by colour alone. Text
// never lies upon text: what does not fit is shortened or left out, and the full name
// stands in the element's title, which browsers show on pointing at it, and in the
// words. All times are UTC, and the axis says so.
//
// Everything that is text comes from outside and stays text: it is escaped, rid of
// what moves the cursor, turns the reading direction or cannot be seen, and cut at 200
// characters. A link that leads anywhere but to the same server is left out.
//
// Nothing that is handed in makes a picture fail. A zero time is one that is not
// known; so is one before 1900 or after 9999. What ends before it begins is drawn as
// an instant. What lies outside of the picture's time, or is more than a picture
// holds, is counted in words.
package chart
