package config

import (
	"fmt"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// inventoryFile is an inventory file.
type inventoryFile struct {
	Targets []targetEntry `yaml:"targets" required:"true" doc:"What patches go to."`
}

type targetEntry struct {
	Pos       strictyaml.Pos
	Name      strictyaml.At[string] `yaml:"name" required:"true" doc:"Name of the target, as alerts call it."`
	Address   strictyaml.At[string] `yaml:"address" doc:"How it is reached: host or host:port. Default: its name."`
	Transport string                `yaml:"transport" enum:"ssh,local" doc:"Default ssh."`
	OS        string                `yaml:"os" doc:"Operating system, such as debian-12."`
	Site      strictyaml.At[string] `yaml:"site" doc:"Where it stands; with runners.sites, whose runners reach it."`
	Labels    map[string]string     `yaml:"labels" doc:"For people and rules."`
}

func (l *loader) inventory() {
	for _, name := range l.glob("inventory", l.cfg.TargetGlobs) {
		doc, ok := l.parse(name)
		if !ok {
			continue
		}
		var file inventoryFile
		problems := doc.Decode(&file)
		l.add(problems...)
		if len(problems) == 0 && len(file.Targets) == 0 {
			l.add(doc.At("targets").Problem("the file has no target", "add one, or remove the file"))
		}
		for _, t := range file.Targets {
			l.target(t)
		}
	}
}

func (l *loader) target(t targetEntry) {
	if t.Transport == "" {
		t.Transport = "ssh"
	}
	l.site(t.Site)
	if t.Transport == "ssh" && !l.cfg.Runners.At(t.Site.Value) && l.ssh == (strictyaml.Pos{}) {
		l.ssh = t.Pos
	}
	if t.Name.Value == "" {
		if t.Name.Pos != (strictyaml.Pos{}) {
			l.add(t.Name.Pos.Problem("the target has no name", targetNameFix))
		}
		return
	}
	if !l.name("a target", t.Name.Value, targetName, targetNameFix, t.Name.Pos) {
		return
	}
	// A dash first would be read as an option, a space as two words.
	if a := t.Address.Value; strings.HasPrefix(a, "-") || strings.ContainsAny(a, " \t\n/@") {
		l.add(t.Address.Pos.Problem(fmt.Sprintf("%q is not an address", a), "want host or host:port, without user or path"))
	}
	if first, taken := l.targetsAt[t.Name.Value]; taken {
		l.add(t.Name.Pos.Problem(fmt.Sprintf("a second target %q", t.Name.Value), fmt.Sprintf("rename one; the first is at %s:%d", first.File, first.Line)))
		return
	}
	l.targetsAt[t.Name.Value] = t.Name.Pos
	l.cfg.Inventory[t.Name.Value] = backout.Target{
		Name: t.Name.Value, Address: t.Address.Value, Transport: t.Transport, OS: t.OS, Site: t.Site.Value, Labels: t.Labels,
	}
}
