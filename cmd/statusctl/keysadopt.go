package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"statuscache/cache/apikeys"
	"statuscache/httpapi/auth"
)

// The columns of a file of secrets. The last one may be missing.
var secretColumns = []string{"owner", "name", "scope", "secret", "daily_limit"}

const (
	neededColumns   = 4
	maxSecretsBytes = 64 << 20
)

const secretsHelp = `
With --secrets-from, the command imports keys from another system, so that callers can continue
to use them. FILE, or - for standard input, has one key per line: its owner, name, scope and
secret, and optionally daily_limit, separated by tabs or as CSV. If the first line has these
names, it sets the order of the columns. A secret is 20 to 128 printable characters without a
space. Only its HMAC is stored. If any line is wrong, no key is stored. You can safely run this
again.`

// foreignLine is a key in a file, and its line.
type foreignLine struct {
	number int
	apikeys.Foreign
}

// adoptKeys stores the keys of a file and prints them without their secrets.
func adoptKeys(cmd *cobra.Command, file string, asJSON bool) error {
	lines, err := readSecrets(cmd.InOrStdin(), file)
	if err != nil {
		return err
	}
	return withKeys(cmd, func(ctx context.Context, keys keyStore) error {
		foreign := make([]apikeys.Foreign, len(lines))
		for i, line := range lines {
			foreign[i] = line.Foreign
		}
		adopted, conflicts, err := keys.Adopt(ctx, foreign)
		for _, c := range conflicts {
			err = errors.Join(err, conflictError(lines[c.Index].number, c.Present))
		}
		if err != nil {
			return err
		}
		return printAdopted(cmd, adopted, keys.config.APIKeysFile != "", asJSON)
	})
}

func conflictError(line int, present apikeys.Key) error {
	state := "its name, owner, scope or daily limit differs"
	if present.Revoked() {
		state = "it is revoked"
	}
	return fmt.Errorf("line %d: the key %s (%s of %s) already has this secret, and %s", line, present.Prefix, present.Name, present.Owner, state)
}

func printAdopted(cmd *cobra.Command, adopted []apikeys.Adopted, filed, asJSON bool) error {
	keys, before := make([]apikeys.Key, len(adopted)), 0
	for i, a := range adopted {
		keys[i] = a.Key
		if a.Before {
			before++
		}
	}
	var err error
	if asJSON {
		all := make([]shownKey, len(keys))
		for i, k := range keys {
			all[i] = shown(k, "")
		}
		err = printJSON(cmd.OutOrStdout(), all)
	} else {
		err = printTable(cmd.OutOrStdout(), keys)
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "keys imported: %d; already present: %d\n", len(keys)-before, before)
	if filed && len(keys) > before {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "They are not in API_KEYS_FILE yet: run statusctl keys export.")
	}
	return err
}

// readSecrets reads a file of secrets. Its errors never contain text of the file.
func readSecrets(stdin io.Reader, file string) ([]foreignLine, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	lines, err := parseSecrets(in)
	if err == nil && len(lines) == 0 {
		err = errors.New("it contains no key")
	}
	if err != nil {
		return nil, prefixLines(err, file)
	}
	return lines, nil
}

// prefixLines puts the name of the file before each line of an error.
func prefixLines(err error, file string) error {
	name := "--secrets-from: "
	if file != "-" {
		name = file + ": "
	}
	return errors.New(name + strings.ReplaceAll(err.Error(), "\n", "\n"+name))
}

func parseSecrets(in io.Reader) ([]foreignLine, error) {
	limited := &io.LimitedReader{R: in, N: maxSecretsBytes + 1}
	rows, err := splitRows(bufio.NewReader(limited))
	if limited.N <= 0 {
		return nil, fmt.Errorf("larger than %d MiB", maxSecretsBytes>>20)
	}
	if err != nil {
		return nil, err
	}
	columns := secretColumns
	if len(rows) > 0 && isHeader(rows[0].fields) {
		columns = rows[0].fields
		rows = rows[1:]
		if err := checkColumns(columns); err != nil {
			return nil, err
		}
	}
	return checkRows(rows, columns)
}

type row struct {
	number int
	fields []string
}

// splitRows splits lines at tabs if the first line contains one, otherwise as CSV.
func splitRows(in *bufio.Reader) (rows []row, err error) {
	head, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	first, _, _ := strings.Cut(strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), "\r\n"), "\n")
	if strings.Contains(first, "\t") {
		return splitTabs(in)
	}
	return splitCommas(in)
}

func splitTabs(in io.Reader) (rows []row, err error) {
	s := bufio.NewScanner(in)
	for number := 1; s.Scan(); number++ {
		line := strings.TrimSuffix(strings.TrimPrefix(s.Text(), "\ufeff"), "\r")
		if strings.TrimSpace(line) != "" {
			rows = append(rows, row{number, strings.Split(line, "\t")})
		}
	}
	if s.Err() != nil {
		return nil, errors.New("a line is too long")
	}
	return rows, nil
}

func splitCommas(in io.Reader) (rows []row, err error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if broken, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, fmt.Errorf("line %d: %w", broken.Line, broken.Err)
		}
		if err != nil {
			return nil, err
		}
		number, _ := r.FieldPos(0)
		fields[0] = strings.TrimPrefix(fields[0], "\ufeff")
		rows = append(rows, row{number, fields})
	}
}

func isHeader(fields []string) bool {
	return slices.Contains(fields, "owner") && slices.Contains(fields, "secret")
}

func checkColumns(columns []string) error {
	var problems []error
	for i, name := range columns {
		if !slices.Contains(secretColumns, name) || slices.Contains(columns[:i], name) {
			problems = append(problems, fmt.Errorf("line 1: column %d must be one of %s, and each may occur only once", i+1, strings.Join(secretColumns, ", ")))
		}
	}
	for _, name := range secretColumns[:neededColumns] {
		if !slices.Contains(columns, name) {
			problems = append(problems, fmt.Errorf("line 1: the column %s is missing", name))
		}
	}
	return errors.Join(problems...)
}

// checkRows reports all mistakes together.
func checkRows(rows []row, columns []string) ([]foreignLine, error) {
	var problems []error
	var lines []foreignLine
	seen := map[string]int{}
	for _, r := range rows {
		line, err := checkRow(r, columns)
		if err == nil && seen[line.Secret] > 0 {
			err = fmt.Errorf("line %d: the same secret as line %d", r.number, seen[line.Secret])
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		seen[line.Secret] = r.number
		lines = append(lines, line)
	}
	return lines, errors.Join(problems...)
}

func checkRow(r row, columns []string) (foreignLine, error) {
	line := foreignLine{number: r.number}
	if len(r.fields) < neededColumns || len(r.fields) > len(columns) {
		return line, fmt.Errorf("line %d: it has %d columns, but must have %s", r.number, len(r.fields), strings.Join(secretColumns[:neededColumns], ", "))
	}
	var problems []error
	wrong := func(text string) { problems = append(problems, fmt.Errorf("line %d: %s", r.number, text)) }
	for i, text := range r.fields {
		switch columns[i] {
		case "owner":
			line.Key.Owner = text
		case "name":
			line.Key.Name = text
		case "scope":
			line.Key.Scope = apikeys.Scope(text)
		case "secret":
			line.Secret = text
		case "daily_limit":
			n, err := strconv.ParseInt(text, 10, 64)
			if text != "" && (err != nil || n < 0) {
				wrong("the daily limit must be a whole number")
			}
			line.Key.DailyLimit = n
		}
	}
	if !auth.ValidOwner(line.Key.Owner) {
		wrong("the owner is missing, too long, or not printable")
	}
	if !auth.ValidOwner(line.Key.Name) {
		wrong("the name is missing, too long, or not printable")
	}
	if !slices.Contains(scopes, line.Key.Scope) {
		wrong("the scope must be read, read:all or register")
	}
	if why := secretProblem(line.Secret); why != "" {
		wrong(why)
	}
	return line, errors.Join(problems...)
}

// secretProblem returns why statusd would not accept a secret as an API key, empty if it would.
func secretProblem(secret string) string {
	switch {
	case !apikeys.ValidSecret(secret):
		return fmt.Sprintf("the secret must be %d to %d printable characters without a space", apikeys.MinSecret, apikeys.MaxSecret)
	case !auth.IsKey(secret):
		return "the secret looks like a JWT or a link, so statusd would not accept it as an API key"
	}
	return ""
}
