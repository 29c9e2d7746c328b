// A real Prometheus scrapes a running service and evaluates the alert rules of docker/prometheus.
//
// alerts.yaml beside this holds the rules to series that are made up, for promtool, with the times as they are.
// Here it is the other way round: the series are the service's own, and the times are short.
package prometheus

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"skygate/peers/service"
)

const docker = "../../../docker/"

// prometheus is a server that scrapes and evaluates every second.
type prometheus struct {
	t   *testing.T
	url string
}

func start(t *testing.T, target string) *prometheus {
	program := os.Getenv("PROMETHEUS")
	if program == "" {
		t.Skip("PROMETHEUS is not set to a program: tests/peers/run.sh does that where Debian's package can be had")
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rules := read(t, docker+"prometheus/alerts.yaml")
	rules = regexp.MustCompile(`for: \S+`).ReplaceAllString(rules, "for: 0s")
	rules = regexp.MustCompile(`\[\d+m\]`).ReplaceAllString(rules, "[1m]")
	write("alerts.yaml", rules)
	config := strings.NewReplacer("15s", "1s", "skygate:8480", target).Replace(read(t, docker+"prometheus/prometheus.yaml"))
	address := freeAddress(t)
	command := exec.Command(program, "--config.file", write("prometheus.yaml", config),
		"--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", address, "--log.level", "warn")
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	return &prometheus{t, "http://" + address}
}

// freeAddress is one that nobody listens on by now.
func freeAddress(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask reads the `data` of an answer into `found`; false where there is none yet.
func (p *prometheus) ask(path string, found any) bool {
	response, err := http.Get(p.url + path)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return false
	}
	if err := json.Unmarshal(body, &struct{ Data any }{found}); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return true
}

// firing are the names of the alerts that fire.
func (p *prometheus) firing() []string {
	var found struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	if !p.ask("/api/v1/alerts", &found) {
		p.t.Fatal("Prometheus answers nothing")
	}
	var names []string
	for _, alert := range found.Alerts {
		if alert.State == "firing" {
			names = append(names, alert.Labels["alertname"])
		}
	}
	return names
}

// value is what an expression comes to; zero where it is about nothing.
func (p *prometheus) value(expression string) float64 {
	var found struct{ Result []struct{ Value [2]any } }
	if !p.ask("/api/v1/query?query="+url.QueryEscape(expression), &found) || len(found.Result) == 0 {
		return 0
	}
	var number float64
	fmt.Sscan(found.Result[0].Value[1].(string), &number)
	return number
}

// await waits until something holds.
func (p *prometheus) await(what string, longest time.Duration, holds func() bool) {
	p.t.Helper()
	for end := time.Now().Add(longest); !holds(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			p.t.Fatalf("not within %v: %s; firing: %v", longest, what, p.firing())
		}
	}
}

func TestAnOAPAndAServiceThatGoAwayAndComeBack(t *testing.T) {
	house := service.Open(t, "checkout=healthy")
	house.Keep("../../../api/examples/apdex.yaml", "interval: 5m", "interval: 2s\n    consecutiveErrorLimit: 1")
	run := `{"templates": [{"name": "apdex"}], "args": [{"name": "service-name", "value": "checkout"}]}`
	house.Post("/api/v1/runs", run)
	prometheus := start(t, strings.TrimPrefix(house.URL(), "http://"))

	prometheus.await("it scrapes", 30*time.Second, func() bool { return prometheus.value("up") == 1 })
	measured := `increase(skygate_measurements_total{phase="Successful"}[1m])`
	prometheus.await("it measures", 30*time.Second, func() bool { return prometheus.value(measured) > 3 })
	if firing := prometheus.firing(); len(firing) > 0 {
		t.Errorf("all is well, and these fire: %v", firing)
	}

	of := func(alert string) func() bool {
		return func() bool { return slices.Contains(prometheus.firing(), alert) }
	}
	over := func(alert string) func() bool {
		return func() bool { return !slices.Contains(prometheus.firing(), alert) }
	}
	house.StopOAP()
	about := []string{"SkygateOapUnreadable", "SkygateRunsEndInError"}
	for _, alert := range about {
		prometheus.await(alert, 3*time.Minute, of(alert))
	}

	// Everything that the rules and the dashboard go by is there by now.
	var names []string
	prometheus.ask("/api/v1/label/__name__/values", &names)
	family := regexp.MustCompile(`\b(skygate|analysis)_[a-z_]+\b`)
	var used []string
	for _, line := range regexp.MustCompile(`"?expr"?: .*`).FindAllString(read(t, docker+"prometheus/alerts.yaml")+read(t, docker+"grafana/skygate.json"), -1) {
		used = append(used, family.FindAllString(line, -1)...)
	}
	if len(used) < 10 {
		t.Errorf("the rules and the dashboard use only %v", used)
	}
	for _, name := range used {
		if !slices.Contains(names, name) {
			t.Errorf("no series `%s` among %v", name, names)
		}
	}

	// What was told is taken back once it is over.
	house.StartOAP()
	house.Post("/api/v1/runs", run)
	for _, alert := range about {
		prometheus.await("the end of "+alert, 3*time.Minute, over(alert))
	}
	house.Stop()
	prometheus.await("SkygateDown", time.Minute, of("SkygateDown"))
	house.Start()
	prometheus.await("the end of SkygateDown", time.Minute, over("SkygateDown"))
}
