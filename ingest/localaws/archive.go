package localaws

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"statuscache/ingest/internal/eventpattern"
)

const (
	maxArchives     = 20
	maxArchiveName  = 48
	maxArchiveBytes = 128 << 20 // of one archive; beyond that, the oldest events are deleted

	archiveEnabled = "ENABLED"
)

// archive keeps events of the bus. The lock of the bus guards it.
type archive struct {
	name, description, bus string

	text    string                // of the pattern
	pattern *eventpattern.Pattern // nil: all events
	days    int                   // of retention, 0: for ever
	created time.Time
	events  []event // in the order of arrival
	bytes   int
}

type (
	createArchiveRequest struct {
		ArchiveName, EventSourceArn, Description, EventPattern string
		RetentionDays                                          int
	}
	updateArchiveRequest struct {
		ArchiveName               string
		Description, EventPattern *string // nil: unchanged
		RetentionDays             *int
	}
	archiveRequest      struct{ ArchiveName string }
	listArchivesRequest struct{ NamePrefix, EventSourceArn, State string }

	// stateOfArchive is the answer to a change of an archive.
	stateOfArchive struct {
		ArchiveArn, State string
		CreationTime      float64
	}
	archiveSummary struct {
		ArchiveName, EventSourceArn, State string
		RetentionDays                      int
		SizeBytes, EventCount              int
		CreationTime                       float64
	}
	archiveResult struct {
		archiveSummary
		ArchiveArn                string
		Description, EventPattern string `json:",omitzero"`
	}
	archivesResult struct{ Archives []archiveSummary }
)

func (a *archive) arn() string { return eventsARN + "archive/" + a.name }

func (a *archive) state() stateOfArchive {
	return stateOfArchive{a.arn(), archiveEnabled, epoch(a.created)}
}

func (a *archive) summary() archiveSummary {
	a.expire()
	return archiveSummary{
		ArchiveName: a.name, EventSourceArn: busARN(a.bus), State: archiveEnabled, RetentionDays: a.days,
		SizeBytes: a.bytes, EventCount: len(a.events), CreationTime: epoch(a.created),
	}
}

// keep puts an event into the archives whose patterns it matches. The caller holds the lock.
func (b *bus) keep(name string, e event) {
	for _, a := range b.archives {
		if a.bus != name || a.pattern != nil && !a.pattern.Matches(e.tree) {
			continue
		}
		a.events, a.bytes = append(a.events, event{text: e.text, time: e.time}), a.bytes+len(e.text)
		for a.bytes > maxArchiveBytes {
			a.bytes -= len(a.events[0].text)
			a.events[0] = event{} // otherwise the array would keep it
			a.events = a.events[1:]
		}
	}
}

// expire drops events that are older than the retention.
func (a *archive) expire() {
	if a.days == 0 {
		return
	}
	oldest := time.Now().AddDate(0, 0, -a.days)
	a.events = slices.DeleteFunc(a.events, func(e event) bool {
		old := e.time.Before(oldest)
		if old {
			a.bytes -= len(e.text)
		}
		return old
	})
}

// set changes the given attributes.
func (a *archive) set(in updateArchiveRequest) error {
	changed := *a
	if in.Description != nil {
		changed.description = *in.Description
	}
	if in.EventPattern != nil {
		p, err := eventpattern.Compile(*in.EventPattern)
		if err != nil {
			return invalidPattern(err)
		}
		changed.text, changed.pattern = *in.EventPattern, p
	}
	if in.RetentionDays != nil {
		changed.days = *in.RetentionDays
	}
	if changed.days < 0 {
		return validation("RetentionDays must not be negative")
	}
	*a = changed
	return nil
}

func (s *Server) createArchive(_ *http.Request, in createArchiveRequest) (any, error) {
	if err := checkName(in.ArchiveName, maxArchiveName); err != nil {
		return nil, err
	}
	a := &archive{name: in.ArchiveName, created: time.Now()}
	initial := updateArchiveRequest{Description: &in.Description, RetentionDays: &in.RetentionDays}
	if in.EventPattern != "" {
		initial.EventPattern = &in.EventPattern
	}
	if err := a.set(initial); err != nil {
		return nil, err
	}
	b := &s.bus
	b.lock.Lock()
	defer b.lock.Unlock()
	var err error
	if a.bus, err = b.find(in.EventSourceArn); err != nil {
		return nil, err
	}
	switch {
	case b.archives[a.name] != nil:
		return nil, alreadyExists("Archive " + a.name)
	case len(b.archives) == maxArchives:
		return nil, limitExceeded("archives", maxArchives)
	}
	b.archives[a.name] = a
	return a.state(), nil
}

func (s *Server) describeArchive(_ *http.Request, in archiveRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	a, err := s.bus.archive(in.ArchiveName)
	if err != nil {
		return nil, err
	}
	return archiveResult{a.summary(), a.arn(), a.description, a.text}, nil
}

func (s *Server) updateArchive(_ *http.Request, in updateArchiveRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	a, err := s.bus.archive(in.ArchiveName)
	if err != nil {
		return nil, err
	}
	if err := a.set(in); err != nil {
		return nil, err
	}
	return a.state(), nil
}

func (s *Server) listArchives(_ *http.Request, in listArchivesRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	archives := []archiveSummary{}
	for _, name := range slices.Sorted(maps.Keys(s.bus.archives)) {
		a := s.bus.archives[name].summary()
		if strings.HasPrefix(name, in.NamePrefix) && cmp.Or(in.EventSourceArn, a.EventSourceArn) == a.EventSourceArn &&
			cmp.Or(in.State, a.State) == a.State {
			archives = append(archives, a)
		}
	}
	return archivesResult{archives}, nil
}

func (s *Server) deleteArchive(_ *http.Request, in archiveRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	if _, err := s.bus.archive(in.ArchiveName); err != nil {
		return nil, err
	}
	delete(s.bus.archives, in.ArchiveName)
	return emptyResult{}, nil
}

// archive returns the archive of a name. The caller holds the lock.
func (b *bus) archive(name string) (*archive, error) {
	a := b.archives[name]
	if a == nil {
		return nil, notFound("Archive " + name)
	}
	return a, nil
}
