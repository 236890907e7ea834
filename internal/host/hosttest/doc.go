// Package hosttest gives tests real hosts, and the promises of [backout.Host] as
// a suite that every kind of host must pass.
//
//   - [SSHD] is an OpenSSH server of this machine on several loopback addresses.
//   - [Systemd] is a machine of its own with systemd as PID 1, which can be
//     rebooted and cut off.
//   - [LVM] is a virtual machine with a kernel and a device mapper of its own, whose
//     root is on LVM.
//   - [Suite] is what a host promises.
package hosttest
