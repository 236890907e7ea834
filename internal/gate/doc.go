// Package gate decides whether the window of a change may open.
//
// It is pure: [Check] looks at [Facts] that others gathered and answers with a
// [Result]. A no is a list of violations, each with what was checked, where, what
// is wrong and what to do about it. A yes is a [Certificate] bound to the plan's
// hash, the targets and the digests of what they looked like, for a time: for any
// other plan, targets or state it says nothing.
//
// # Contract
//
//   - Fail closed: what is missing among the facts counts against the window: a
//     step that no executor answered for, a target that was not captured.
//     There is no way to open it over a no.
//   - All reasons come in one answer, in a fixed order.
//   - Warnings never keep a window shut. They name what will happen without
//     anybody being asked, or what will not be looked at.
//   - The answer holds for the moment of Facts.Now. The gate is asked again when
//     the window opens.
//   - While the window is open [Still] asks whether the way back would work yet.
package gate
