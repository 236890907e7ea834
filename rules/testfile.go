package rules

import "strings"

// IsTestFile tells whether a file is named as one of tests of rules: _test.yaml at
// its end. A pattern never takes it for a rule file.
func IsTestFile(name string) bool {
	return strings.HasSuffix(name, "_test.yaml") || strings.HasSuffix(name, "_test.yml")
}
