package backout

// Role is a set of actions; internal/access says which.
type Role string

// The roles. An admin runs the server and decides nothing: whoever gives out the
// right to approve must not have it.
const (
	RoleViewer   Role = "viewer"
	RoleOperator Role = "operator"
	RoleApprover Role = "approver"
	RoleAuthor   Role = "author"
	RoleAdmin    Role = "admin"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{RoleViewer, RoleOperator, RoleApprover, RoleAuthor, RoleAdmin}
}

// Grant lets its holder act in a role: everywhere, or where all the labels are.
// With neither it grants nothing.
type Grant struct {
	Role       Role              `json:"role"`
	Everywhere bool              `json:"everywhere,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Covers tells whether the grant holds where there are these labels: those of a
// change or a target. Nil is the server as a whole, which only a grant that holds
// everywhere covers.
func (g Grant) Covers(labels map[string]string) bool {
	if g.Everywhere {
		return true
	}
	if len(g.Labels) == 0 || labels == nil {
		return false
	}
	for name, want := range g.Labels {
		if got, ok := labels[name]; !ok || got != want {
			return false
		}
	}
	return true
}
