// Package service starts what the peers call: `skygate serve`, beside a `skygate simulate-oap`.
package service

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Patience is how long a process may take to start or to end.
const Patience = time.Minute

// House is a service with a store in a file, and the only OAP that it asks.
type House struct {
	t      testing.TB
	listen string
	store  string
	oap    string
	args   []string
	serve  *exec.Cmd
	server *exec.Cmd
}

// Open starts a house whose OAP has these services, each as NAME=SCRIPT. It ends with the test.
func Open(t testing.TB, services ...string) *House {
	t.Helper()
	args := []string{"simulate-oap", "--listen", "127.0.0.1:0"}
	for _, service := range services {
		args = append(args, "--service", service)
	}
	server, oap := start(t, args...)
	house := &House{t: t, listen: "127.0.0.1:0", store: filepath.Join(t.TempDir(), "skygate.db"), oap: oap, args: args, server: server}
	house.Start()
	t.Cleanup(func() {
		house.Stop()
		house.StopOAP()
	})
	return house
}

// URL is where the service is.
func (h *House) URL() string { return "http://" + h.listen }

// Restart ends the service and starts it again, with the same store on the same address.
func (h *House) Restart() {
	h.Stop()
	h.Start()
}

// Stop ends the service.
func (h *House) Stop() {
	if h.serve != nil {
		stop(h.t, h.serve)
		h.serve = nil
	}
}

// StartOAP starts the OAP again, on the same address. It has forgotten everything.
func (h *House) StartOAP() {
	h.t.Helper()
	address := strings.TrimPrefix(h.oap, "http://")
	h.args[slices.Index(h.args, "--listen")+1] = address
	h.server, _ = start(h.t, h.args...)
}

// StopOAP ends the OAP.
func (h *House) StopOAP() {
	if h.server != nil {
		stop(h.t, h.server)
		h.server = nil
	}
}

// Start starts the service, on the address that it had before.
func (h *House) Start() {
	h.t.Helper()
	serve, address := start(h.t, "serve", "--listen", h.listen, "--store", "sqlite:"+h.store, "--oap", h.oap)
	parsed, err := url.Parse(address)
	if err != nil {
		h.t.Fatalf("%s: %v", address, err)
	}
	h.serve, h.listen = serve, parsed.Host
}

// Keep has the service keep the templates in a file, with these changes of its text, old and new by turns.
func (h *House) Keep(path string, changes ...string) {
	h.t.Helper()
	written, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	text := string(written)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			h.t.Fatalf("%s has no `%s`", path, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	h.Post("/api/v1/templates", text)
}

// Post sends a body, and gives the answer, which must be a good one.
func (h *House) Post(path, body string) map[string]any {
	h.t.Helper()
	return h.read(http.Post(h.URL()+path, "application/yaml", bytes.NewBufferString(body)))
}

// Get gives what is at a path.
func (h *House) Get(path string) map[string]any {
	h.t.Helper()
	return h.read(http.Get(h.URL() + path))
}

// Runs are the rows of the runs that there are, newest first.
func (h *House) Runs() []map[string]any {
	h.t.Helper()
	var rows []map[string]any
	for _, row := range h.Get("/api/v1/runs")["items"].([]any) {
		rows = append(rows, row.(map[string]any))
	}
	return rows
}

func (h *House) read(response *http.Response, err error) map[string]any {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode > 299 {
		h.t.Fatalf("%s: %s %s %v", response.Request.URL, response.Status, body, err)
	}
	var read map[string]any
	if err := json.Unmarshal(body, &read); err != nil {
		h.t.Fatalf("%s: %v", body, err)
	}
	return read
}

// start runs skygate, and gives the address that it prints once it is ready.
func start(t testing.TB, args ...string) (*exec.Cmd, string) {
	t.Helper()
	program := os.Getenv("SKYGATE")
	if program == "" {
		t.Skip("SKYGATE is not set to a program: tests/peers/run.sh does that")
	}
	command := exec.Command(program, args...)
	var log bytes.Buffer
	command.Stderr = &log
	// Nothing of what runs the tests is for it.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// A program that hangs is killed, which ends the reading.
	hung := time.AfterFunc(Patience, func() { command.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	hung.Stop()
	if err != nil {
		command.Process.Kill()
		command.Wait()
		t.Fatalf("skygate %s did not start: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return command, strings.TrimSpace(line)
}

func stop(t testing.TB, command *exec.Cmd) {
	command.Process.Signal(os.Interrupt)
	hung := time.AfterFunc(Patience, func() { command.Process.Kill() })
	err := command.Wait()
	if !hung.Stop() {
		t.Errorf("%s did not end: %v", fmt.Sprint(command.Args), err)
	}
}
