// Argo Rollouts' own `web` provider asks a running service, by the templates of api/argo.
package argo

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	analysisutil "github.com/argoproj/argo-rollouts/utils/analysis"
	log "github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"

	"skygate/peers/service"
)

const (
	manifests = "../../../api/argo/"
	// Where the templates expect the service.
	address = "http://skygate.skygate:8480"
	// What Argo's provider waits for an answer, unless it is told otherwise.
	patience = 10 * time.Second
)

// house is a service beside an OAP that knows a good version and a bad one.
func house(t *testing.T) *service.House {
	t.Parallel()
	return service.Open(t, "good=healthy", "bad=degraded", "away=outage", "late=slow")
}

// measure takes one measurement by the only metric of a template, as Argo's controller does.
func measure(t *testing.T, house *service.House, file string, args map[string]string) v1alpha1.Measurement {
	t.Helper()
	written, err := os.ReadFile(manifests + file)
	if err != nil {
		t.Fatal(err)
	}
	var template v1alpha1.AnalysisTemplate
	text := strings.ReplaceAll(string(written), address, house.URL())
	if err := yaml.UnmarshalStrict([]byte(text), &template); err != nil {
		t.Fatal(err)
	}
	if len(template.Spec.Metrics) != 1 {
		t.Fatalf("%s has %d metrics", file, len(template.Spec.Metrics))
	}
	var given []v1alpha1.Argument
	for name, value := range args {
		given = append(given, v1alpha1.Argument{Name: name, Value: &value})
	}
	merged, err := analysisutil.MergeArgs(given, template.Spec.Args)
	if err != nil {
		t.Fatal(err)
	}
	metric, err := analysisutil.ResolveMetricArgs(template.Spec.Metrics[0], merged)
	if err != nil {
		t.Fatal(err)
	}
	client, err := webmetric.NewWebMetricHttpClient(*metric)
	if err != nil {
		t.Fatal(err)
	}
	parser, err := webmetric.NewWebMetricJsonParser(*metric)
	if err != nil {
		t.Fatal(err)
	}
	provider := webmetric.NewWebMetricProvider(*log.NewEntry(log.StandardLogger()), client, parser)
	begun := time.Now()
	measurement := provider.Run(&v1alpha1.AnalysisRun{}, *metric)
	if took := time.Since(begun); took >= patience {
		t.Errorf("%s %v: it took %v", file, args, took)
	}
	t.Logf("%s %v: %s %s %s", file, args, measurement.Phase, measurement.Message, measurement.Value)
	return measurement
}

func expect(t *testing.T, found v1alpha1.Measurement, expected v1alpha1.AnalysisPhase) {
	t.Helper()
	if found.Phase != expected {
		t.Errorf("%s, not %s: %s %s", found.Phase, expected, found.Message, found.Value)
	}
}

func TestAMeasurementPerCall(t *testing.T) {
	house := house(t)
	house.Keep("../../../api/examples/apdex.yaml")
	for name, expected := range map[string]v1alpha1.AnalysisPhase{
		"good": v1alpha1.AnalysisPhaseSuccessful,
		"bad":  v1alpha1.AnalysisPhaseFailed,
		// Nothing is known of it, it can't be asked for, nobody answers in time: no verdict, and never an Error of the call.
		"nobody": v1alpha1.AnalysisPhaseInconclusive,
		"away":   v1alpha1.AnalysisPhaseInconclusive,
		"late":   v1alpha1.AnalysisPhaseInconclusive,
	} {
		args := map[string]string{"service-name": name}
		expect(t, measure(t, house, "measure-per-call.yaml", args), expected)
	}
	// What is no template of the service's is a fault of the call.
	args := map[string]string{"service-name": "good", "template": "nothing"}
	expect(t, measure(t, house, "measure-per-call.yaml", args), v1alpha1.AnalysisPhaseError)
}

func TestARunThatIsFollowed(t *testing.T) {
	house := house(t)
	begin := func(name, count string) string {
		// JSON is YAML, so this is the shortest way to say it.
		house.Keep("../../../api/examples/apdex.yaml", "interval: 5m", "interval: 1s\n    count: "+count, "failureLimit: 3", "failureLimit: 0")
		run := house.Post("/api/v1/runs", `{"templates": [{"name": "apdex"}], "args": [{"name": "service-name", "value": "`+name+`"}]}`)
		return run["metadata"].(map[string]any)["uid"].(string)
	}
	follow := func(id string) v1alpha1.Measurement {
		return measure(t, house, "follow-a-run.yaml", map[string]string{"run-id": id})
	}
	end := func(id string) v1alpha1.Measurement {
		for range 6 {
			if found := follow(id); found.Phase != v1alpha1.AnalysisPhaseInconclusive {
				return found
			}
		}
		t.Fatalf("%s does not end", id)
		return v1alpha1.Measurement{}
	}
	expect(t, end(begin("good", "3")), v1alpha1.AnalysisPhaseSuccessful)
	expect(t, end(begin("bad", "3")), v1alpha1.AnalysisPhaseFailed)

	endless := begin("good", "100000")
	expect(t, follow(endless), v1alpha1.AnalysisPhaseInconclusive)
	// A restart of the service in between is no end of the run.
	house.Restart()
	expect(t, follow(endless), v1alpha1.AnalysisPhaseInconclusive)

	// What ends without a good measurement is nothing to go on by, though Argo calls it Successful.
	waiting := begin("nobody", "3")
	house.Post("/api/v1/runs/"+waiting+"/terminate", "")
	expect(t, end(waiting), v1alpha1.AnalysisPhaseFailed)
	expect(t, follow("nowhere"), v1alpha1.AnalysisPhaseError)
}
