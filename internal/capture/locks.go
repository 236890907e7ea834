package capture

import "strings"

// listedLocks reads the list of the versionlock plug-in of dnf and yum.
func listedLocks(lines []string) []string {
	var held []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			held = append(held, plain(line))
		}
	}
	return held
}

// zyppLocks reads /etc/zypp/locks: a block for each lock.
func zyppLocks(lines []string) []string {
	var held []string
	for _, line := range lines {
		switch name, value := pair(line); name {
		case "solvable_name:":
			held = append(held, plain(value))
		case "version:", "solvable_arch:":
			if n := len(held); n > 0 {
				held[n-1] += " " + plain(value)
			}
		}
	}
	return held
}

// tomlLocks reads versionlock.toml of dnf5: a package and its conditions, as
// "name evr = value".
func tomlLocks(lines []string, tool string) ([]string, error) {
	var held []string
	open := false
	for _, line := range lines {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), plain(unquote(value))
		switch {
		case line == "[[packages]]":
			open = true
		case !open || line == "" || line[0] == '#' || line == "[[packages.conditions]]":
		case !ok:
			return nil, unparsed(partPackages, "versionlock.toml of "+tool, line)
		case key == "name":
			held = append(held, value)
		case len(held) > 0 && (key == "key" || key == "comparator" || key == "value"):
			held[len(held)-1] += " " + value
		}
	}
	return held, nil
}
