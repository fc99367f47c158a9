package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/cachetest"
)

// TestSettingsOfRedisFitEachOther: each mistake is reported with its setting and the fix, and
// without a secret.
func TestSettingsOfRedisFitEachOther(t *testing.T) {
	t.Parallel()
	authority, dir := cachetest.NewAuthority(t), t.TempDir()
	cert, key := authority.Certificate("statusd")
	_, foreign := authority.Certificate("statusd")
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	password, two, none := write("one", "s3cret\n"), write("two", "s3cret\ns3cret2\n"), write("none", "\n")
	const endpoint = "master.status.abc123.euw1.cache.amazonaws.com:6379"
	for name, test := range map[string]struct {
		env  map[string]string
		want []string // a part of each line of the error
	}{
		"TLS":                   {map[string]string{"REDIS_URL": "rediss://h", "REDIS_CA_FILE": authority.CAFile, "REDIS_CERT_FILE": cert, "REDIS_KEY_FILE": key, "REDIS_SERVER_NAME": "redis.example.com"}, nil},
		"a password in a file":  {map[string]string{"REDIS_URL": "redis://ada@h", "REDIS_PASSWORD_FILE": password}, nil},
		"IAM":                   {map[string]string{"REDIS_URL": "rediss://ada@" + endpoint, "REDIS_AUTH": "iam"}, nil},
		"IAM behind a name":     {map[string]string{"REDIS_URL": "rediss+cluster://ada@h", "REDIS_SERVER_NAME": "clustercfg.status.abc123.memorydb.eu-west-1.amazonaws.com", "REDIS_AUTH": "iam"}, nil},
		"TLS not used":          {map[string]string{"REDIS_CA_FILE": authority.CAFile, "REDIS_SERVER_NAME": "h"}, []string{"REDIS_CA_FILE, REDIS_SERVER_NAME: has no effect without TLS"}},
		"no such file":          {map[string]string{"REDIS_URL": "rediss://h", "REDIS_CA_FILE": "/nonexistent", "REDIS_CERT_FILE": "/nonexistent", "REDIS_KEY_FILE": "/nonexistent"}, []string{"REDIS_CA_FILE: ", "REDIS_CERT_FILE: ", "REDIS_KEY_FILE: "}},
		"no certificate in it":  {map[string]string{"REDIS_URL": "rediss://h", "REDIS_CA_FILE": password}, []string{"REDIS_CA_FILE: "}},
		"half of a pair":        {map[string]string{"REDIS_URL": "rediss://h", "REDIS_CERT_FILE": cert}, []string{"REDIS_CERT_FILE, REDIS_KEY_FILE: set both"}},
		"two halves":            {map[string]string{"REDIS_URL": "rediss://h", "REDIS_CERT_FILE": cert, "REDIS_KEY_FILE": foreign}, []string{"REDIS_CERT_FILE, REDIS_KEY_FILE: "}},
		"no name":               {map[string]string{"REDIS_URL": "rediss://h", "REDIS_SERVER_NAME": "https://h"}, []string{"REDIS_SERVER_NAME: "}},
		"two passwords":         {map[string]string{"REDIS_URL": "redis://ada:s3cret@h", "REDIS_PASSWORD_FILE": password}, []string{"REDIS_PASSWORD_FILE: REDIS_URL has a password too"}},
		"two lines":             {map[string]string{"REDIS_PASSWORD_FILE": two}, []string{"REDIS_PASSWORD_FILE: "}},
		"an empty line":         {map[string]string{"REDIS_PASSWORD_FILE": none}, []string{"REDIS_PASSWORD_FILE: "}},
		"another kind of login": {map[string]string{"REDIS_AUTH": "kerberos"}, []string{"REDIS_AUTH: "}},
		"Serverless":            {map[string]string{"REDIS_URL": "rediss+cluster://status-x1y2z3.serverless.euw1.cache.amazonaws.com"}, []string{"REDIS_URL: ElastiCache Serverless"}},
		"Serverless and IAM":    {map[string]string{"REDIS_URL": "rediss+cluster://ada@h", "REDIS_SERVER_NAME": "status-x1y2z3.serverless.euw1.cache.amazonaws.com", "REDIS_AUTH": "iam"}, []string{"REDIS_URL: ElastiCache Serverless"}},
		"IAM with nothing":      {map[string]string{"REDIS_AUTH": "iam"}, []string{"iam needs the ID of a user", "iam needs TLS", "iam needs to know the cache"}},
		"IAM with passwords":    {map[string]string{"REDIS_URL": "rediss://ada:s3cret@" + endpoint, "REDIS_AUTH": "iam", "REDIS_PASSWORD_FILE": password}, []string{"REDIS_URL has a password too", "iam needs no password"}},
	} {
		test.env["ROLE"], test.env["API_KEY_PEPPER"] = "api", "0123456789abcdef"
		c, err := load(test.env)
		var lines []string
		if err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if len(lines) != len(test.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: line %d is %q, want %q", name, i, lines[i], want)
			}
		}
		if printed := c.Print() + strings.Join(lines, "\n"); strings.Contains(printed, "s3cret") {
			t.Errorf("%s: a secret is printed: %s", name, printed)
		}
	}
}

// TestAPasswordFileThatIsReplaced: the new password is used, and open connections log in again.
func TestAPasswordFileThatIsReplaced(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	server.Do("ACL SETUSER ada on >first ~* &* +@all")
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	check := openRedis(t, map[string]string{"REDIS_URL": "redis://ada@" + server.Addr, "REDIS_PASSWORD_FILE": file}, nil)
	if err := check(); err != nil {
		t.Fatal(err)
	}
	server.Do("ACL SETUSER ada >second")
	write("second\n")
	cachetest.Eventually(t, "a connection logs in again", func() bool {
		if err := check(); err != nil {
			t.Fatal(err)
		}
		return server.Calls("auth") > 0
	})
	server.Do("ACL SETUSER ada <first")
	if err := check(); err != nil {
		t.Error(err)
	}
}

// openRedis opens the cache of an environment and runs it until the test ends. It returns a
// function that checks whether Redis answers.
func openRedis(t *testing.T, env map[string]string, aws func(context.Context) (aws.Config, error)) (check func() error) {
	t.Helper()
	env["ROLE"], env["API_KEY_PEPPER"] = "api", "0123456789abcdef"
	c, err := load(env)
	if err != nil {
		t.Fatal(err)
	}
	const redisTimeout = 30 * time.Second
	on, err := openCache(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), Program{AWS: aws, ReadLimit: redisTimeout, WriteLimit: redisTimeout})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- on.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, on.Close()); err != nil {
			t.Error(err)
		}
	})
	return func() error { return on.DB().Check(t.Context()) }
}

// TestATokenOfIAMLogsIn at each service, whose login checks user, time and signature. The token
// is renewed before it expires, also on open connections.
func TestATokenOfIAMLogsIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ endpoint, service string }{
		"ElastiCache": {"master.status.abc123.euw1.cache.amazonaws.com", "elasticache"},
		"MemoryDB":    {"clustercfg.status.abc123.memorydb.eu-west-1.amazonaws.com", "memorydb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority := cachetest.NewAuthority(t)
			login := startLogin(t, cachetest.Redis(t), authority.Pair(test.endpoint))
			login.service = test.service
			env := map[string]string{
				"REDIS_URL": "rediss://ada@" + login.addr, "REDIS_AUTH": "iam",
				"REDIS_CA_FILE": authority.CAFile, "REDIS_SERVER_NAME": test.endpoint,
			}
			// If the credentials expire soon, their tokens are renewed soon.
			soon := func(context.Context) (aws.Credentials, error) {
				c, err := credentials.NewStaticCredentialsProvider(accessKey, secretKey, "session").Retrieve(t.Context())
				c.CanExpire, c.Expires = true, time.Now().Add(2*time.Second)
				return c, err
			}
			check := openRedis(t, env, func(context.Context) (aws.Config, error) {
				return aws.Config{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(soon)}, nil
			})
			cachetest.Eventually(t, "open connections log in again with several tokens", func() bool {
				if err := check(); err != nil {
					t.Fatal(err)
				}
				return login.again() >= 3
			})
			login.mu.Lock()
			defer login.mu.Unlock()
			if len(login.refused) > 0 {
				t.Errorf("refused: %v", login.refused)
			}
		})
	}
}

// TestATokenThatIAMRefuses: the reason is reported. It is the control of the test above.
func TestATokenThatIAMRefuses(t *testing.T) {
	t.Parallel()
	const endpoint = "master.status.abc123.euw1.cache.amazonaws.com"
	authority := cachetest.NewAuthority(t)
	login := startLogin(t, cachetest.Redis(t), authority.Pair(endpoint))
	login.service = "elasticache"
	check := openRedis(t, map[string]string{
		"REDIS_URL": "rediss://ada@" + login.addr, "REDIS_AUTH": "iam", "REDIS_CA_FILE": authority.CAFile, "REDIS_SERVER_NAME": endpoint,
	}, func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(accessKey, "another secret", "session")}, nil
	})
	if err := check(); err == nil || !strings.Contains(err.Error(), "refuses the user or the password") {
		t.Errorf("%v", err)
	}
}

const accessKey, secretKey = "AKIDEXAMPLE", "wJalrXUtnFEMI"

// login is a proxy between a program and a Redis, like the login of AWS: it accepts only
// clients that have sent a correctly signed token.
type login struct {
	addr, service string
	redis         *cachetest.Server

	mu      sync.Mutex
	renewed int // logins with another token on connections that were already logged in
	refused []error
}

func startLogin(t *testing.T, redis *cachetest.Server, cert tls.Certificate) *login {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	g := &login{addr: l.Addr().String(), redis: redis}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { g.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return g
}

func (g *login) again() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.renewed
}

// serve forwards commands, and logins without their user and token.
func (g *login) serve(conn net.Conn) {
	defer conn.Close()
	up, err := net.Dial("tcp", g.redis.Addr)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(conn, up)
		_ = conn.Close()
	}()
	in, known := bufio.NewReader(conn), ""
	for {
		raw, args, err := readCommand(in)
		if err != nil {
			return
		}
		user, token, forward := loginOf(raw, args)
		if token == "" && known == "" || token != "" && !g.accepts(user, token) {
			_, _ = io.WriteString(conn, "-WRONGPASS invalid username-password pair\r\n")
			continue
		}
		if token != "" && known != "" && token != known {
			g.mu.Lock()
			g.renewed++
			g.mu.Unlock()
		}
		if token != "" {
			known = token
		}
		if _, err := up.Write(forward); err != nil {
			return
		}
	}
}

// loginOf returns user and token of HELLO and AUTH, and the command to send instead to a Redis
// without users.
func loginOf(raw []byte, args []string) (user, token string, forward []byte) {
	switch {
	case strings.EqualFold(args[0], "auth") && len(args) == 3:
		return args[1], args[2], []byte("*2\r\n$4\r\nECHO\r\n$2\r\nOK\r\n")
	case strings.EqualFold(args[0], "hello") && len(args) >= 5 && strings.EqualFold(args[2], "auth"):
		return args[3], args[4], []byte("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n")
	}
	return "", "", raw
}

// readCommand reads a command as an array of bulk strings.
func readCommand(r *bufio.Reader) (raw []byte, args []string, err error) {
	var all bytes.Buffer
	line := func(mark byte) (n int) {
		text, e := r.ReadString('\n')
		all.WriteString(text)
		if e != nil || text[0] != mark {
			err = cmp.Or(e, errors.New("not the expected command"))
			return 0
		}
		n, err = strconv.Atoi(strings.TrimSpace(text[1:]))
		return n
	}
	for range line('*') {
		n := line('$')
		if err != nil {
			return nil, nil, err
		}
		body := make([]byte, n+2)
		if _, err = io.ReadFull(r, body); err != nil {
			return nil, nil, err
		}
		all.Write(body)
		args = append(args, string(body[:n]))
	}
	if err == nil && len(args) == 0 {
		err = errors.New("no command")
	}
	return all.Bytes(), args, err
}

func (g *login) accepts(user, token string) bool {
	err := g.check(user, token)
	if err == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = append(g.refused, err)
	return false
}

// check verifies a token by the rules of Signature Version 4, which are implemented again here.
func (g *login) check(user, token string) error {
	host, query, _ := strings.Cut(token, "/?")
	unsigned, signature, found := strings.Cut(query, "&X-Amz-Signature=")
	q, err := url.ParseQuery(unsigned)
	if err != nil || !found {
		return fmt.Errorf("malformed: %q", token)
	}
	for name, want := range map[string]string{
		"Action": "connect", "User": user, "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
		"X-Amz-SignedHeaders": "host", "X-Amz-Security-Token": "session",
	} {
		if q.Get(name) != want {
			return fmt.Errorf("%s is %q", name, q.Get(name))
		}
	}
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	seconds, err2 := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || err2 != nil || seconds > 900 || time.Since(at) > time.Duration(seconds)*time.Second || host != "status" {
		return fmt.Errorf("time or cache: %q", token)
	}
	scope := at.Format("20060102") + "/eu-west-1/" + g.service + "/aws4_request"
	if q.Get("X-Amz-Credential") != accessKey+"/"+scope {
		return fmt.Errorf("credential %q", q.Get("X-Amz-Credential"))
	}
	if want := sign(at, scope, host, q.Encode()); want != signature {
		return fmt.Errorf("signature %s, want %s", signature, want)
	}
	return nil
}

// sign signs a GET of / without a body; query is in order.
func sign(at time.Time, scope, host, query string) string {
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	request := "GET\n/\n" + query + "\nhost:" + host + "\n\nhost\n" + digest("")
	key := []byte("AWS4" + secretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	text := "AWS4-HMAC-SHA256\n" + at.Format("20060102T150405Z") + "\n" + scope + "\n" + digest(request)
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
