package dashboard

import (
	"net/http"
	"time"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// failedViolations is how many reasons of a no a page shows.
const failedViolations = 100

// Error writes an error as a page that leads on.
func (d *Dashboard) Error(w http.ResponseWriter, r *http.Request, status int, body handlers.ErrorBody) {
	frame := ui.Frame{Now: time.Now(), Version: d.o.Version, Base: d.o.Base, People: d.o.People && status != http.StatusUnauthorized}
	frame.Who = handlers.ActorFrom(r.Context()).Name
	content := ui.Failed{Status: status, Code: body.Code, Message: body.Message, RequestID: body.RequestID, Violations: body.Violations}
	content.Sent = r.Method != http.MethodGet && r.Method != http.MethodHead
	if more := len(body.Violations) - failedViolations; more > 0 {
		content.Violations, content.MoreViolations = body.Violations[:failedViolations], more
	}
	if d.o.People && status == http.StatusUnauthorized {
		content.SignIn, content.Next = true, "/"
		if body.Code == "unauthenticated" {
			content.Message = "nobody is signed in here" // what it says else is for programs
		}
		if !content.Sent {
			content.Next = r.URL.RequestURI()
		}
	}
	if err := answer(w, r, status, frame, content); err != nil {
		http.Error(w, body.Message, status)
	}
}
