package bus

// SyncsAlways tells whether the embedded server syncs before it acknowledges.
func (b *Bus) SyncsAlways() bool { return b.server.JetStreamConfig().SyncAlways }

// Listens tells whether the embedded server has opened a port.
func (b *Bus) Listens() bool { return b.server.Addr() != nil }

// Say announces a server once, as one that dies right after.
func (b *Bus) Say(name string) error {
	return b.conn.Publish(presenceSubject, []byte(`{"name":"`+name+`","run":"x"}`))
}
