package httpapi

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// shippedProxy is a configuration in deploy/proxies and what runs it on one machine.
type shippedProxy struct {
	program string
	file    string
	// around is the rest of a configuration, with SHIPPED in place of the file.
	around string
	// replaced are texts of the file, each with what stands for it on one machine.
	replaced []string
	args     []string
}

// Texts of the shipped configurations and of what is around them.
const (
	shippedService = "127.0.0.1:8080"
	shippedCert    = "/etc/ssl/statusd/tls.crt"
	shippedKey     = "/etc/ssl/statusd/tls.key"
)

var shippedProxies = []shippedProxy{
	{
		program: "nginx", file: "nginx.conf",
		around: `daemon off; worker_processes 1; pid DIR/nginx.pid; error_log stderr; events { worker_connections 64; }
http { client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
SHIPPED
}`,
		replaced: []string{shippedService, "SERVICE", shippedCert, "CERTS/tls.crt", shippedKey, "CERTS/tls.key", "listen 443 ", "listen 127.0.0.1:PORT ", "/var/log/nginx/", "DIR/"},
		args:     []string{"-p", "DIR", "-e", "stderr", "-c", "CONFIG"},
	},
	{
		program: "haproxy", file: "haproxy.cfg", around: "SHIPPED",
		replaced: []string{"server one " + shippedService, "server one SERVICE", "/etc/ssl/statusd/tls.pem", "CERTS/tls.pem", "bind :443 ", "bind 127.0.0.1:PORT ", "check port 9090 ", "check port ADMIN ", "    maxconn 100000", "    maxconn 100"},
		args:     []string{"-db", "-f", "CONFIG"},
	},
	{
		program: "apache2", file: "apache.conf",
		around: `ServerRoot DIR
PidFile DIR/apache.pid
ErrorLog /dev/stderr
ServerName 127.0.0.1
User nobody
Group nogroup
Listen 127.0.0.1:PORT
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
StartServers 1
MinSpareThreads 1
ThreadsPerChild 25
MaxRequestWorkers 25
ServerLimit 1
SHIPPED
`,
		replaced: []string{"http://" + shippedService, "http://SERVICE", shippedCert, "CERTS/tls.crt", shippedKey, "CERTS/tls.key", "<VirtualHost *:443>", "<VirtualHost 127.0.0.1:PORT>", "/var/log/apache2/", "DIR/"},
		args:     []string{"-D", "FOREGROUND", "-f", "CONFIG"},
	},
	{
		program: "caddy", file: "Caddyfile",
		around:   "{\n admin off\n auto_https off\n skip_install_trust\n storage file_system DIR/storage\n servers {\n  protocols h1 h2\n }\n}\nSHIPPED",
		replaced: []string{shippedService, "SERVICE", "status.example.com {", "https://127.0.0.1:PORT {\n bind 127.0.0.1\n tls CERTS/tls.crt CERTS/tls.key"},
		args:     []string{"run", "--adapter", "caddyfile", "--config", "CONFIG"},
	},
}

// start starts the proxy before a service, with the shipped configuration.
func (p shippedProxy) start(t *testing.T, service, admin string) (address string) {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join("..", "deploy", "proxies", p.file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(p.replaced); i += 2 {
		if !strings.Contains(string(shipped), p.replaced[i]) {
			t.Fatalf("%s has no %q any more", p.file, p.replaced[i])
		}
	}
	config := strings.Replace(p.around, "SHIPPED", strings.NewReplacer(p.replaced...).Replace(string(shipped)), 1)
	_, adminPort, err := net.SplitHostPort(admin)
	if err != nil {
		t.Fatal(err)
	}
	port := cachetest.FreePort(t)
	config = strings.NewReplacer("PORT", strconv.Itoa(port), "SERVICE", service, "ADMIN", adminPort, "CERTS", certificates(t)).Replace(config)
	startFront(t, p.program, config, port, slices.Clone(p.args)...)()
	return "127.0.0.1:" + strconv.Itoa(port)
}

// certificates returns a folder with a certificate, its key, and both in one file.
func certificates(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cert, key := cachetest.NewAuthority(t).Certificate("127.0.0.1") // Caddy looks it up by name
	var both []byte
	for _, file := range []struct{ from, name string }{{cert, "tls.crt"}, {key, "tls.key"}} {
		text, err := os.ReadFile(file.from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// relay passes connections on to a service. To a proxy, a relay that stops and starts looks
// like a service that restarts.
type relay struct {
	t       *testing.T
	service string
	addr    string
	mu      sync.Mutex
	running bool
	open    []io.Closer
}

func newRelay(t *testing.T, service string) *relay {
	r := &relay{t: t, service: service, addr: "127.0.0.1:" + strconv.Itoa(cachetest.FreePort(t))} // which stays free while it is stopped
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *relay) start() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var l net.Listener
	cachetest.Eventually(r.t, "the port is free", func() (free bool) { // a process that is being started has its sockets until it runs
		var err error
		l, err = net.Listen("tcp", r.addr)
		return err == nil
	})
	r.addr, r.running, r.open = l.Addr().String(), true, []io.Closer{l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.join(c)
		}
	}()
}

// join copies between a client and the service until either ends.
func (r *relay) join(client net.Conn) {
	service, err := net.Dial("tcp", r.service)
	if err != nil {
		_ = client.Close()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open = append(r.open, client, service); !r.running {
		r.closeAll()
		return
	}
	for from, to := range map[net.Conn]net.Conn{client: service, service: client} {
		go func() {
			_, _ = io.Copy(to, from)
			_, _ = to.Close(), from.Close()
		}()
	}
}

func (r *relay) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = false
	r.closeAll()
}

func (r *relay) closeAll() {
	for _, c := range r.open {
		_ = c.Close()
	}
	r.open = nil
}

// TestTheShippedProxyConfigurations: through each proxy, over HTTP/1.1 and HTTP/2, an execution
// is read by its ARN, raw and percent-encoded, a long poll waits for the change, a stream gets
// each event when it happens, and a request id arrives. Requests pass again as soon as the
// service is back after a restart.
func TestTheShippedProxyConfigurations(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "nginx, HAProxy, Apache and Caddy")
	if runtime.GOOS != "linux" {
		t.Skip("the configurations are for Debian's builds")
	}
	for _, p := range shippedProxies {
		t.Run(p.program, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			admin := httptest.NewServer(s.Admin())
			t.Cleanup(admin.Close)
			r := newRelay(t, strings.TrimPrefix(s.url, "http://"))
			address := p.start(t, r.addr, admin.Listener.Addr().String())
			for _, protocol := range []int{1, 2} {
				f := secureFront(t, address, protocol)
				ada := s.key("ada")
				s.followThrough(f, ada)
				r.stop()
				r.start()
				cachetest.Eventually(t, "a request passes after the restart", func() bool {
					got, err := s.through(f, statusPath+url.PathEscape(string(arn(t, f.name))), ada)
					if err == nil {
						_ = got.Body.Close()
					}
					return err == nil && got.StatusCode == http.StatusOK && got.ProtoMajor == protocol
				})
			}
		})
	}
}

// secureFront is a proxy with TLS, to which a client speaks HTTP/1.1 or HTTP/2.
func secureFront(t *testing.T, address string, protocol int) front {
	client := &http.Transport{
		ForceAttemptHTTP2: protocol == 2, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // who it is does not matter here
	}
	t.Cleanup(client.CloseIdleConnections)
	return front{name: "HTTP-" + strconv.Itoa(protocol), url: "https://" + address, coding: "gzip", client: client}
}

// followThrough follows an execution to its end through a proxy.
func (s *service) followThrough(f front, token string) {
	s.t.Helper()
	e := running(s.t, f.name, "ada")
	s.apply(e)
	target := statusPath + url.PathEscape(string(e.ARN))
	tag := s.status(f, target, token, "", 200)
	if own := s.ask("GET", target, token).header.Get("ETag"); tag != own {
		s.t.Errorf("the tag %s arrives as %s", own, tag)
	}
	s.status(f, target, token, tag, 304)
	s.formsThrough(f, token)

	poll := make(chan string, 1)
	go func() { poll <- s.status(f, target+"?wait=3600", token, tag, 200) }()
	stream := s.streamThrough(f, target, token)
	s.untilWaiting(2)
	if got := stream.next(); !strings.Contains(got, "RUNNING") {
		s.t.Errorf("the first event: %q", got)
	}
	done := finished(e, `{"rules":[]}`)
	s.apply(done)
	if tag := <-poll; !strings.Contains(tag, string(done.Version())) {
		s.t.Errorf("a long poll was answered with %s, before anything changed", tag)
	}
	if got := stream.next(); !strings.Contains(got, "SUCCEEDED") {
		s.t.Errorf("the second event: %q", got)
	}
	if got := stream.next(); got != "event: end\ndata: {}" {
		s.t.Errorf("the last event: %q", got)
	}
}

// formsThrough reads an execution whose ARN has a slash, in each form of a path, with and
// without a request id.
func (s *service) formsThrough(f front, token string) {
	s.t.Helper()
	e := running(s.t, f.name+"-child", "ada")
	e.ARN = cache.ARN(strings.Replace(string(e.ARN), ":"+f.name, "/map:"+f.name, 1))
	s.apply(e)
	encoded := url.PathEscape(string(e.ARN))
	for _, path := range []string{string(e.ARN), encoded, strings.ReplaceAll(encoded, ":", "%3A"), strings.ReplaceAll(encoded, ":", "%3a")} {
		for _, id := range []string{"", "ci-job.4711"} {
			got, err := s.through(f, statusPath+path, token, func(r *http.Request) {
				if id != "" {
					r.Header.Set("X-Request-Id", id)
				}
			})
			if err != nil {
				s.t.Errorf("%s: %v", path, err)
				continue
			}
			_ = got.Body.Close()
			if reported := got.Header.Get("X-Request-Id"); got.StatusCode != 200 || reported == "" || id != "" && reported != id {
				s.t.Errorf("%s: %d, request id %q as %q", path, got.StatusCode, id, reported)
			}
		}
	}
}
