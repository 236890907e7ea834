package engine

import "slices"

// TargetLabels returns the labels of a target of the inventory: nil for one that is
// not in it, and never nil for one that is.
func (e *Engine) TargetLabels(name string) map[string]string {
	target, ok := e.cfg().Inventory[name]
	switch {
	case !ok:
		return nil
	case target.Labels == nil:
		return map[string]string{}
	}
	return target.Labels
}

// approvers are the members of each group who may approve on all of the targets.
func (c *Config) approvers(targets []string) map[string][]string {
	if c.MayApprove == nil {
		return c.Groups
	}
	out := make(map[string][]string, len(c.Groups))
	for group, members := range c.Groups {
		out[group] = slices.DeleteFunc(slices.Clone(members), func(person string) bool { return !c.MayApprove(person, targets) })
	}
	return out
}
