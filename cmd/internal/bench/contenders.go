package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// errAbsent means that a program to compare with is not on this machine. The table then says so,
// and how to install it, in place of a figure.
var errAbsent = errors.New("not installed")

// packages are the Debian packages of the programs to compare with. After apt-get install
// --no-install-recommends, the next run uses them.
var packages = map[string]string{
	nginxReturn: "nginx", nginxProxy: "nginx", webdisGet: "webdis", nginxRedis: "libnginx-mod-http-lua lua-nginx-redis",
}

// The configuration of nginx. It is one process, keeps connections for as long as
// it is asked to, and writes no access log.
const (
	// locationReturn answers the same body to everything.
	locationReturn = `location / { default_type application/json; return 200 '%s'; }`

	// upstream and locationProxy pass requests on over connections that are kept.
	upstream      = "upstream statusd { server %s; keepalive 64; }"
	locationProxy = `location / { proxy_pass http://statusd; proxy_http_version 1.1; proxy_set_header Connection ""; }`

	// locationRedis is one GET from a pool of connections.
	locationRedis = `
    location / {
      content_by_lua_block {
        local client = library:new()
        local ok, why = client:connect("127.0.0.1", %s)
        if not ok then ngx.log(ngx.CRIT, why) return ngx.exit(502) end
        local body, why = client:get(string.sub(ngx.var.uri, 2))
        if not body or body == ngx.null then return ngx.exit(404) end
        client:set_keepalive(60000, 256)
        ngx.header["Content-Type"] = "application/json"
        ngx.header["Content-Length"] = #body
        ngx.print(body)
      }
    }`

	// nginxConfig takes what to load, the folder of its files, what to run at the
	// start, the address and the location.
	nginxConfig = `%[1]s
daemon off;
master_process off;
pid %[2]s/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path %[2]s/body;
  proxy_temp_path %[2]s/proxy;
  fastcgi_temp_path %[2]s/fastcgi;
  uwsgi_temp_path %[2]s/uwsgi;
  scgi_temp_path %[2]s/scgi;
  %[3]s
  server {
    listen %[4]s;
    %[5]s
  }
}
`
)

// fasthttpFolder has the source of the server with fasthttp, a module of its own, so that
// no other program depends on it.
const fasthttpFolder = ".tools/fasthttp"

// fasthttp builds and starts a server with fasthttp that gives the answer in a file.
func (ps *peers) fasthttp(ctx context.Context, answer string) (*peer, error) {
	if _, err := os.Stat(fasthttpFolder); err != nil {
		return nil, errAbsent
	}
	program := filepath.Join(ps.dir, "fasthttp")
	if printed, err := exec.CommandContext(ctx, "go", "build", "-C", fasthttpFolder, "-o", program, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w: %.500s", fasthttpFolder, err, printed)
	}
	return ps.announced(program, nil, envAnswer+"="+answer)
}

// nginxReturn starts an nginx, one process, that answers body.
func (ps *peers) nginxReturn(ctx context.Context, body string) (*peer, error) {
	if strings.ContainsAny(body, `'\$`) {
		return nil, errors.New("this body has a meaning in a configuration of nginx")
	}
	return ps.nginx(ctx, "", "", fmt.Sprintf(locationReturn, body))
}

// nginxProxy starts an nginx, one process, in front of another peer.
func (ps *peers) nginxProxy(ctx context.Context, behind *peer) (*peer, error) {
	return ps.nginx(ctx, "", fmt.Sprintf(upstream, behind.addr), locationProxy)
}

// nginxRedis starts an nginx, one process, that answers what Redis holds under
// the name in the path.
func (ps *peers) nginxRedis(ctx context.Context, redis *peer) (*peer, error) {
	modules, err := nginxModules(ctx)
	if err != nil {
		return nil, err
	}
	lua := filepath.Join(modules, "ngx_http_lua_module.so")
	library := redisLibrary()
	if _, err := os.Stat(lua); err != nil || library == "" {
		return nil, errAbsent
	}
	load := fmt.Sprintf("load_module %s;\nload_module %s;", filepath.Join(modules, "ndk_http_module.so"), lua)
	begin := fmt.Sprintf("lua_package_path '/usr/share/lua/5.1/?.lua;;';\n  init_by_lua_block { library = require %q }", library)
	return ps.nginx(ctx, load, begin, fmt.Sprintf(locationRedis, redis.port()))
}

var modulesPath = regexp.MustCompile(`--modules-path=(\S+)`)

// nginxModules returns the folder of the modules that nginx can load.
func nginxModules(ctx context.Context) (string, error) {
	printed, err := exec.CommandContext(ctx, "nginx", "-V").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errAbsent
	}
	if err != nil {
		return "", fmt.Errorf("nginx -V: %w", err)
	}
	found := modulesPath.FindSubmatch(printed)
	if found == nil {
		return "", errAbsent
	}
	return string(found[1]), nil
}

// redisLibrary returns the name of the Redis client for Lua, which differs
// between packages; empty: there is none.
func redisLibrary() string {
	for file, name := range map[string]string{"resty/redis.lua": "resty.redis", "nginx/redis.lua": "nginx.redis"} {
		if _, err := os.Stat(filepath.Join("/usr/share/lua/5.1", file)); err == nil {
			return name
		}
	}
	return ""
}

func (ps *peers) nginx(ctx context.Context, load, begin, location string) (*peer, error) {
	if _, err := exec.LookPath("nginx"); err != nil {
		return nil, errAbsent
	}
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(ps.dir, "nginx-"+port)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, load, dir, begin, addr, location), 0o600); err != nil {
		return nil, err
	}
	p, err := ps.start("nginx", []string{"-p", dir, "-e", "stderr", "-c", file})
	if err != nil {
		return nil, err
	}
	p.addr = addr
	return p, p.await(ctx)
}

// webdis starts a webdis with one worker in front of a Redis.
func (ps *peers) webdis(ctx context.Context, redis *peer) (*peer, error) {
	if _, err := exec.LookPath("webdis"); err != nil {
		return nil, errAbsent
	}
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(ps.dir, "webdis-"+port+".json")
	config := fmt.Appendf(nil, `{
  "redis_host": "127.0.0.1", "redis_port": %s, "redis_auth": null, "database": 0,
  "http_host": "127.0.0.1", "http_port": %s, "threads": 1, "pool_size": 20,
  "daemonize": false, "websockets": false, "verbosity": 0, "logfile": "/dev/null"
}`, redis.port(), port)
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	p, err := ps.start("webdis", []string{file})
	if err != nil {
		return nil, err
	}
	p.addr = addr
	return p, p.await(ctx)
}
