package redisdb

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Info is the answer of INFO, by field. Managed Redis forbids CONFIG, so the settings are
// read from INFO.
type Info map[string]string

// ServerInfo reads INFO from one server: the given sections, or the default ones.
func ServerInfo(ctx context.Context, node Client, sections ...string) (Info, error) {
	text, err := node.Info(ctx, sections...).Result()
	if err != nil {
		return nil, fmt.Errorf("read INFO of Redis: %w", err)
	}
	return parseInfo(text), nil
}

func parseInfo(text string) Info {
	fields := Info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// Number returns a numeric field, 0 if it is missing.
func (i Info) Number(field string) int {
	n, _ := strconv.Atoi(i[field])
	return n
}
