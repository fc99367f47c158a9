// Command kocheck builds the image of .ko.yaml with ko for each of its platforms, into an OCI
// layout on this machine, checks it, and writes the program of this machine's platform into a
// folder. The base image of .ko.yaml is in a registry that a check must not need, so a
// stand-in is served on loopback: an empty image with the same user, for the same platforms.
package main

import (
	"archive/tar"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// user is that of the base image in .ko.yaml.
const user = "65532"

var platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}

func main() {
	ko := flag.String("ko", "ko", "program ko")
	source := flag.String("source", ".", "folder with .ko.yaml")
	out := flag.String("out", "", "folder for the SBOMs and the program")
	flag.Parse()
	if err := check(*ko, *source, *out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(ko, source, out, program string) error {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	base := strings.TrimPrefix(server.URL, "http://") + "/base:latest"
	if err := serveBase(base); err != nil {
		return err
	}
	// ko takes the path of a layout for the name of a repository, which has no capital letters.
	images, err := os.MkdirTemp("", "kocheck")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(images) }()
	sboms := filepath.Join(out, "sbom")
	if err := os.MkdirAll(sboms, 0o755); err != nil {
		return err
	}
	build := exec.Command(ko, "build", "--push=false", "--oci-layout-path", images, "--sbom-dir", sboms, "--base-import-paths", "./cmd/"+program)
	build.Dir = source
	build.Env = append(os.Environ(), "KO_DEFAULTBASEIMAGE="+base, "KO_DOCKER_REPO=example.invalid", "VERSION=check")
	if printed, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("ko build: %w\n%s", err, printed)
	}
	if err := checkSBOMs(sboms); err != nil {
		return err
	}
	return checkLayout(images, out, program)
}

// serveBase puts the stand-in for the base image into a registry.
func serveBase(reference string) error {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return err
	}
	var index v1.ImageIndex = empty.Index
	for _, p := range platforms {
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
			OS: p.OS, Architecture: p.Architecture, Config: v1.Config{User: user + ":" + user}, RootFS: v1.RootFS{Type: "layers"},
		})
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return remote.WriteIndex(ref, index)
}

// checkSBOMs looks for a list of what is inside for each platform.
func checkSBOMs(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	for _, p := range platforms {
		has := slices.ContainsFunc(files, func(f string) bool {
			text, err := os.ReadFile(f)
			return err == nil && strings.Contains(filepath.Base(f), p.Architecture) && strings.Contains(string(text), `"SPDX-2.3"`) &&
				strings.Contains(string(text), "github.com/redis/go-redis")
		})
		if !has {
			return fmt.Errorf("no SBOM for %v among %v", p, files)
		}
	}
	return nil
}

// checkLayout checks the image of each platform.
func checkLayout(folder, out, program string) error {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return err
	}
	images, err := imagesOf(index)
	if err != nil {
		return err
	}
	for _, p := range platforms {
		image := images[p.String()]
		if image == nil {
			return fmt.Errorf("there is no image for %v", p)
		}
		if err := checkImage(image, p, out, program); err != nil {
			return fmt.Errorf("%v: %w", p, err)
		}
	}
	return nil
}

// imagesOf returns the images of an index and of the indexes in it, by platform.
func imagesOf(index v1.ImageIndex) (map[string]v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	found := map[string]v1.Image{}
	for _, m := range manifest.Manifests {
		if m.MediaType.IsIndex() {
			inner, err := index.ImageIndex(m.Digest)
			if err != nil {
				return nil, err
			}
			return imagesOf(inner)
		}
		if found[m.Platform.String()], err = index.Image(m.Digest); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func checkImage(image v1.Image, p v1.Platform, out, program string) error {
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	entry := config.Config.Entrypoint
	switch {
	case config.Config.User != user+":"+user:
		return fmt.Errorf("it runs as %q", config.Config.User)
	case config.Architecture != p.Architecture:
		return fmt.Errorf("its configuration is for %s", config.Architecture)
	case len(entry) != 1 || path.Base(entry[0]) != program:
		return fmt.Errorf("it starts %v", entry)
	}
	inPath := slices.ContainsFunc(config.Config.Env, func(e string) bool {
		value, is := strings.CutPrefix(e, "PATH=")
		return is && slices.Contains(strings.Split(value, ":"), path.Dir(entry[0]))
	})
	if !inPath {
		return fmt.Errorf("health checks would not find %s by its name: %v", program, config.Config.Env)
	}
	if p.Architecture != runtime.GOARCH {
		return nil
	}
	return extract(image, strings.TrimPrefix(entry[0], "/"), filepath.Join(out, program))
}

// extract writes a file of an image.
func extract(image v1.Image, file, to string) error {
	files := mutate.Extract(image)
	defer func() { _ = files.Close() }()
	for r := tar.NewReader(files); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("there is no %s", file)
		} else if err != nil {
			return err
		}
		if strings.TrimPrefix(header.Name, "/") != file || header.Typeflag != tar.TypeReg {
			continue
		}
		f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	}
}
