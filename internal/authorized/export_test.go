package authorized

import "strings"

// Fake stands for the engine, and Wrapped puts the check before one.
type Fake = fake

var Wrapped = wrapped

// Calls are what reached the fake since it was asked last.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// Reads tells whether the call only reads what whoever may read anything may read.
func Reads(call string) bool {
	for name, roles := range whoMay {
		if _, method, _ := strings.Cut(name, "."); method == call {
			return roles == "all" || roles == "anybody"
		}
	}
	return false
}
