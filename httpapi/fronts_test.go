package httpapi

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"statuscache/cache/cachetest"
)

// front is a program between a client and the service, as people run them.
type front struct {
	name   string
	url    string
	coding string // that the client asks for
	// changed is what the front makes of the entity tag of a small answer.
	changed func(tag string) string
	client  http.RoundTripper // nil: asIs
}

// startFronts starts Apache, nginx, HAProxy and webpack-dev-server before a service,
// each as a process of its own that ends with the test.
func startFronts(t *testing.T, service string) []front {
	t.Helper()
	port := map[string]int{}
	for _, name := range []string{"deflate", "brotli", "nginx", "nginx brotli", "haproxy", "webpack"} {
		port[name] = cachetest.FreePort(t)
	}
	replaced := func(config string, ports ...string) string {
		config = strings.ReplaceAll(config, "SERVICE", service)
		for i, name := range ports {
			config = strings.ReplaceAll(config, fmt.Sprint("PORT", i), strconv.Itoa(port[name]))
		}
		return config
	}
	for _, listens := range []func(){
		startWebpack(t, port["webpack"], service), // it takes longest
		startFront(t, "apache2", replaced(apacheConfig, "deflate", "brotli"), port["brotli"], "-D", "FOREGROUND", "-f", "CONFIG"),
		startFront(t, "nginx", replaced(nginxConfig, "nginx", "nginx brotli"), port["nginx brotli"], "-p", "DIR", "-e", "stderr", "-c", "CONFIG"),
		startFront(t, "haproxy", replaced(haproxyConfig, "haproxy"), port["haproxy"], "-db", "-f", "CONFIG"),
	} {
		listens()
	}
	url := func(name string) string { return "http://127.0.0.1:" + strconv.Itoa(port[name]) }
	weak := func(tag string) string { return "W/" + tag }
	asItIs := func(tag string) string { return tag }
	return []front{
		{name: "Apache's deflate", url: url("deflate"), coding: "gzip", changed: suffixed("-gzip")},
		{name: "Apache's brotli", url: url("brotli"), coding: "br", changed: suffixed("-br")},
		{name: "nginx's gzip", url: url("nginx"), coding: "gzip", changed: weak},
		{name: "nginx's brotli", url: url("nginx brotli"), coding: "br", changed: weak},
		{name: "HAProxy's compression", url: url("haproxy"), coding: "gzip", changed: asItIs}, // it heeds no-transform
		{name: "webpack-dev-server", url: url("webpack"), coding: "gzip", changed: asItIs},    // likewise: otherwise it would hold streams back
	}
}

const apacheConfig = `
ServerRoot DIR
PidFile DIR/apache.pid
ErrorLog /dev/stderr
ServerName 127.0.0.1
User nobody
Group nogroup
Listen 127.0.0.1:PORT0
Listen 127.0.0.1:PORT1
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule brotli_module /usr/lib/apache2/modules/mod_brotli.so
StartServers 1
MinSpareThreads 1
ThreadsPerChild 16
MaxRequestWorkers 16
ServerLimit 1
<VirtualHost 127.0.0.1:PORT0>
 AllowEncodedSlashes NoDecode
 ProxyPass / http://SERVICE/ nocanon
 AddOutputFilterByType DEFLATE application/json text/event-stream
</VirtualHost>
<VirtualHost 127.0.0.1:PORT1>
 ProxyPass / http://SERVICE/
 AddOutputFilterByType BROTLI_COMPRESS application/json
</VirtualHost>
`

const nginxConfig = `
load_module /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so;
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
 access_log off;
 client_body_temp_path DIR/body;
 proxy_temp_path DIR/proxy;
 fastcgi_temp_path DIR/fastcgi;
 uwsgi_temp_path DIR/uwsgi;
 scgi_temp_path DIR/scgi;
 upstream service { server SERVICE; keepalive 4; }
 proxy_http_version 1.1;
 proxy_set_header Connection "";
 server {
  listen 127.0.0.1:PORT0;
  gzip on;
  gzip_proxied any;
  gzip_min_length 1;
  gzip_types application/json text/event-stream;
  location / { proxy_pass http://service; }
 }
 server {
  listen 127.0.0.1:PORT1;
  brotli on;
  brotli_min_length 1;
  brotli_types application/json;
  location / { proxy_pass http://service; }
 }
}
`

const haproxyConfig = `
global
 maxconn 64
defaults
 mode http
 timeout connect 10s
 timeout client 60s
 timeout server 60s
frontend front
 bind 127.0.0.1:PORT0
 compression algo gzip
 compression type application/json text/event-stream
 default_backend service
backend service
 server one SERVICE
`

// startFront starts a program with a configuration. The result returns when it
// listens.
func startFront(t *testing.T, program, config string, port int, args ...string) (listens func()) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		t.Fatalf("%s is not here: .tools/install-test-deps installs it", program)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, program+".conf")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.NewReplacer("DIR", dir, "CONFIG", file).Replace(args[i])
	}
	command := exec.Command(path, args...)
	command.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir) // Caddy writes there
	return launch(t, command, port)
}

// startWebpack starts the development server of web pages.
func startWebpack(t *testing.T, port int, service string) (listens func()) {
	t.Helper()
	folder := filepath.Join("..", ".tools", "webpack-dev-server")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "webpack-dev-server")); err != nil {
		t.Fatalf("webpack-dev-server is not here: .tools/install-test-deps installs it: %v", err)
	}
	node := exec.Command("node", "server.mjs", strconv.Itoa(port), "http://"+service)
	node.Dir = folder
	return launch(t, node, port)
}

// launch starts a process, which ends with the test. The result returns when it
// listens on a port.
func launch(t *testing.T, command *exec.Cmd, port int) (listens func()) {
	t.Helper()
	said := &cachetest.Log{}
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM) // Apache and nginx end their children then
		<-ended
	})
	return func() {
		t.Helper()
		cachetest.Eventually(t, command.Path+" listens", func() bool {
			select {
			case <-ended:
				t.Fatalf("%s has ended: %s", command.Path, said)
			default:
			}
			c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		})
	}
}

// through sends a request through a front.
func (s *service) through(f front, target, token string, change ...func(*http.Request)) (*http.Response, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, f.url+target, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept-Encoding", f.coding)
	for _, c := range change {
		c(r)
	}
	return cmp.Or[http.RoundTripper](f.client, asIs).RoundTrip(r)
}

// TestStatesAndStreamsWorkBehindRealProxies: behind Apache, nginx, HAProxy and
// webpack-dev-server, which compress, a client that sends the tag it got receives 304. Its long
// poll waits until something changes, and its stream gets each event when it happens.
func TestStatesAndStreamsWorkBehindRealProxies(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "Apache, nginx, HAProxy and Node")
	if runtime.GOOS != "linux" {
		t.Skip("the configurations are for Debian's builds")
	}
	s := newService(t)
	ada := s.key("ada")
	e := running(t, "fronted", "ada")
	s.apply(e)
	target := statusPath + string(e.ARN)
	fronts := startFronts(t, strings.TrimPrefix(s.url, "http://"))
	own := s.ask("GET", target, ada).header.Get("ETag")

	polls, streams := map[string]<-chan string{}, map[string]*streamed{}
	for _, f := range fronts {
		tag := s.status(f, target, ada, "", 200)
		if tag != f.changed(own) { // else it would prove nothing
			t.Fatalf("%s makes %s of %s", f.name, tag, own)
		}
		s.status(f, target, ada, tag, 304)
		poll := make(chan string, 1)
		go func() { poll <- s.status(f, target+"?wait=3600", ada, tag, 200) }()
		polls[f.name] = poll
		streams[f.name] = s.streamThrough(f, target, ada)
	}
	s.untilWaiting(2 * len(fronts))
	for name, stream := range streams {
		if got := stream.next(); !strings.Contains(got, "RUNNING") {
			t.Errorf("%s: the first event: %q", name, got)
		}
	}
	const text = "café Å ✅ \u0085 \u2028 Ünïcödé"
	done := finished(e, `"`+text+`"`)
	s.apply(done)
	for name, poll := range polls {
		if tag := <-poll; !strings.Contains(tag, string(done.Version())) {
			t.Errorf("%s: a long poll was answered with %s, before anything changed", name, tag)
		}
	}
	for name, stream := range streams {
		if got := stream.next(); !strings.Contains(got, "SUCCEEDED") || !strings.Contains(got, text) {
			t.Errorf("%s: the second event: %q", name, got)
		}
		if got := stream.next(); got != "event: end\ndata: {}" {
			t.Errorf("%s: the last event: %q", name, got)
		}
	}
}

// status reads a status through a front, and returns the tag of the answer.
func (s *service) status(f front, target, token, tag string, want int) string {
	got, err := s.through(f, target, token, header("If-None-Match", tag))
	if err != nil {
		s.t.Errorf("%s: %v", f.name, err)
		return ""
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	if got.StatusCode != want || err != nil {
		s.t.Errorf("%s: %s, shown %s: %d, %q, %v", f.name, target, tag, got.StatusCode, body, err)
	}
	return got.Header.Get("ETag")
}

// streamThrough opens a stream through a front, which may compress it.
func (s *service) streamThrough(f front, target, token string) *streamed {
	s.t.Helper()
	got, err := s.through(f, target, token, header("Accept", "text/event-stream"), header("Accept-Encoding", "gzip"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = got.Body.Close() })
	if kind := strings.ToLower(got.Header.Get("Content-Type")); got.StatusCode != 200 || strings.ReplaceAll(kind, " ", "") != "text/event-stream;charset=utf-8" {
		s.t.Errorf("%s: %d %v", f.name, got.StatusCode, got.Header)
	}
	body := io.Reader(got.Body)
	if got.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(got.Body); err != nil {
			s.t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(body)
	return &streamed{s.t, got.ProtoMajor, got.StatusCode, got.Header, lines, func() {}}
}
