package localaws

// Faults are the failures that a test causes. Each function is called when its failure is
// possible; nil means never. They are called from many goroutines at once, and never while a
// queue is locked. An error that is not an Error becomes an internal failure with its text.
type Faults struct {
	// Refuse returns the error with which a request is answered before anything else is
	// checked, such as ErrUnavailable or ErrThrottled; nil: none. The action is the name of the
	// call, such as SendMessage.
	Refuse func(action string) error
	// Done is called for each request that has taken effect, before its answer.
	// The caller waits for as long as it takes.
	Done func(action string)
	// FailReceive is Refuse only for ReceiveMessage.
	FailReceive func() error
	// FailDelete reports whether the delete of a message with this body fails
	// and leaves it where it is. In a batch that is an entry under Failed; the
	// answer as a whole is a success.
	FailDelete func(body string) bool
	// Resurrect reports whether a message with this body, whose delete is answered with
	// success, becomes visible again instead of being deleted.
	Resurrect func(body string) bool
	// FailDelivery reports whether the bus fails to deliver an event to a queue,
	// for as long as it retries. The retries take no time here.
	FailDelivery func(queueARN string) bool
}

// refuse returns the error with which a request is answered, if any.
func (f Faults) refuse(action string) error {
	if f.FailReceive != nil && action == "ReceiveMessage" {
		if err := f.FailReceive(); err != nil {
			return err
		}
	}
	if f.Refuse == nil {
		return nil
	}
	return f.Refuse(action)
}

// done reports that a request has taken effect.
func (f Faults) done(action string) {
	if f.Done != nil {
		f.Done(action)
	}
}

func (f Faults) failDelete(body string) bool { return f.FailDelete != nil && f.FailDelete(body) }

func (f Faults) resurrect(body string) bool { return f.Resurrect != nil && f.Resurrect(body) }

func (f Faults) failDelivery(queueARN string) bool {
	return f.FailDelivery != nil && f.FailDelivery(queueARN)
}
