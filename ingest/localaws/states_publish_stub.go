package localaws

// Publish takes events until the event bus is there.
func (s *Server) Publish([]byte) {}
