// Package dashboard serves the pages for people: it asks the services what a page shows,
// and has [ui] write it.
//
// # A page
//
// Each page is one [page]: its route, who may see it and a function that builds its
// content from the services, as whoever asks may see them. A page that changes while
// somebody looks at it has a second route, its own with /live behind it (or
// before it, where the name of something could stand behind): a stream that
// sends the page anew whenever it looks different (live.go). What is sent is the whole
// page without its head, so that nothing can be shown that a reload would not show.
//
// # An action
//
// Whatever people do is a form that is posted and answered with a way back to the page
// (answer.go). What is offered is what the core would take from this person now; what is
// sent all the same is refused there. Nothing here decides.
//
// # What can fail
//
// A store that does not answer makes a page say so, with 503. A part of a page that is of
// use without it says "not known". A stream that ends is begun again by the page, which
// says meanwhile that it may be old.
package dashboard
