// Flagger's own client calls a running service, for the Canary of docker/flagger, in the order in which Flagger's scheduler does.
//
// Time is real here, so the template measures every two seconds and looks at the minute that is under way. A canary still has
// to wait for the first minute that begins after an increase, and for the OAP's first flush of it.
package flagger

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	flaggerv1 "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/controller"
	"sigs.k8s.io/yaml"

	"skygate/peers/service"
)

const (
	manifests = "../../../docker/flagger/"
	// Where the Canary expects the service.
	expected = "http://skygate.skygate:8480"
	// The service that the Canary's argument names.
	canary = "canary|reviews|bookinfo|cp-cluster-1|-"
	// The time between two rounds, and from the first increase to what is found about it at the latest.
	interval = 2 * time.Second
	longest  = 150 * time.Second
)

// flagger is Flagger as far as it calls: what it knows of its canary, and what it was answered.
type flagger struct {
	t *testing.T
	flaggerv1.Canary
	// What happens before each call.
	before func()
	// The answers of each round, but for rounds in which nothing changed.
	heard []string
	round []string
	// What the last refusal said.
	reason string
}

// open has the service keep the template, and reads the Canary as it is shipped, with the service's address in it.
func open(t *testing.T, house *service.House, address string) *flagger {
	house.Keep(manifests+"template.yaml",
		"    interval: 1m\n", "    interval: 2s\n",
		"        interval: 3m\n", "        interval: 1m\n        settle: 0s\n")
	f := &flagger{t: t, before: func() {}}
	written, err := os.ReadFile(manifests + "canary.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(written), expected, address)
	if err := yaml.UnmarshalStrict([]byte(text), &f.Canary); err != nil {
		t.Fatal(err)
	}
	// Two steps instead of five.
	f.Spec.Analysis.StepWeight = f.Spec.Analysis.MaxWeight / 2
	return f
}

// ask calls the hooks of a type, and tells whether all of them say yes.
func (f *flagger) ask(hook flaggerv1.HookType, phase flaggerv1.CanaryPhase) bool {
	asked := 0
	for _, webhook := range f.GetAnalysis().Webhooks {
		if webhook.Type != hook {
			continue
		}
		asked++
		f.before()
		err := controller.CallWebhook(f.Canary, phase, webhook)
		if err != nil {
			f.round = append(f.round, string(hook)+" no")
			f.reason = err.Error()
			return false
		}
		f.round = append(f.round, string(hook)+" yes")
	}
	if asked == 0 {
		f.t.Fatalf("the Canary has no %s", hook)
	}
	return true
}

// tell sends an event.
func (f *flagger) tell(message string) {
	for _, webhook := range f.GetAnalysis().Webhooks {
		if webhook.Type != flaggerv1.EventHook {
			continue
		}
		f.before()
		if err := controller.CallEventWebhook(&f.Canary, webhook, message, "Normal"); err != nil {
			f.t.Errorf("%s: %v", message, err)
		}
	}
}

// remember keeps what was answered in a round.
func (f *flagger) remember() {
	round := strings.Join(f.round, ", ")
	f.round = nil
	if len(f.heard) == 0 || f.heard[len(f.heard)-1] != round {
		f.heard = append(f.heard, round)
	}
}

// initialize is what happens before the first version of a canary is there.
func (f *flagger) initialize() {
	f.Status.Phase = flaggerv1.CanaryPhaseInitializing
	f.tell("reviews-primary.bookinfo not ready: waiting for rollout to finish")
	f.Status.Phase = flaggerv1.CanaryPhaseInitialized
	f.Status.LastAppliedSpec = "v1"
	f.tell("Initialization done! reviews.bookinfo")
}

// rollOut rolls a version out to whatever end that comes to.
func (f *flagger) rollOut(version string) flaggerv1.CanaryPhase {
	// The checksum is still the one of the version before.
	if !f.ask(flaggerv1.ConfirmRolloutHook, f.Status.Phase) {
		f.t.Fatalf("it must not begin: %s", f.reason)
	}
	f.Status = flaggerv1.CanaryStatus{Phase: flaggerv1.CanaryPhaseProgressing, LastAppliedSpec: version}
	f.tell("New revision detected! Scaling up reviews.bookinfo")
	f.remember()
	for end := time.Now().Add(longest); time.Now().Before(end); time.Sleep(interval) {
		f.advance()
		f.remember()
		if f.Status.Phase == flaggerv1.CanaryPhaseFailed || f.Status.Phase == flaggerv1.CanaryPhaseSucceeded {
			return f.Status.Phase
		}
	}
	f.t.Fatalf("no end after %v: %q\n%s", longest, f.heard, f.reason)
	return ""
}

// advance is one pass of Flagger's scheduler over a canary whose pods are ready.
func (f *flagger) advance() {
	if f.ask(flaggerv1.RollbackHook, f.Status.Phase) || f.Status.FailedChecks >= f.GetAnalysisThreshold() {
		f.end(flaggerv1.CanaryPhaseFailed)
		return
	}
	hook := flaggerv1.RolloutHook
	if f.Status.CanaryWeight == 0 {
		f.tell("Starting canary analysis for reviews.bookinfo")
		hook = flaggerv1.PreRolloutHook
	}
	if !f.ask(hook, flaggerv1.CanaryPhaseProgressing) {
		f.Status.FailedChecks++
		return
	}
	if f.Status.Phase != flaggerv1.CanaryPhaseWaitingPromotion &&
		!f.ask(flaggerv1.ConfirmTrafficIncreaseHook, flaggerv1.CanaryPhaseProgressing) {
		return
	}
	if f.Status.CanaryWeight < f.GetAnalysis().MaxWeight {
		f.Status.CanaryWeight += f.GetAnalysis().StepWeight
		f.tell(fmt.Sprintf("Advance reviews.bookinfo canary weight %d", f.Status.CanaryWeight))
	}
	if f.Status.CanaryWeight < f.GetAnalysis().MaxWeight {
		return
	}
	if !f.ask(flaggerv1.ConfirmPromotionHook, flaggerv1.CanaryPhaseProgressing) {
		f.Status.Phase = flaggerv1.CanaryPhaseWaitingPromotion
		return
	}
	f.Status.Phase = flaggerv1.CanaryPhasePromoting
	f.tell("Copying reviews.bookinfo template spec to reviews-primary.bookinfo")
	f.end(flaggerv1.CanaryPhaseSucceeded)
}

func (f *flagger) end(phase flaggerv1.CanaryPhase) {
	f.Status.Phase = phase
	if phase == flaggerv1.CanaryPhaseFailed {
		f.tell("Canary failed! Scaling down reviews.bookinfo")
	}
	if !f.ask(flaggerv1.PostRolloutHook, phase) {
		f.t.Errorf("after the rollout: %s", f.reason)
	}
}

// expect compares what became of a version.
func (f *flagger) expect(found, expected flaggerv1.CanaryPhase) {
	f.t.Helper()
	if found != expected {
		f.t.Fatalf("%s, not %s: %q\n%s", found, expected, f.heard, f.reason)
	}
	f.t.Logf("%s:\n%s", found, strings.Join(f.heard, "\n"))
}

// expectRuns compares the phases of the runs that there are, newest first.
func expectRuns(t *testing.T, house *service.House, expected ...string) {
	t.Helper()
	var found []string
	for _, run := range house.Runs() {
		found = append(found, run["phase"].(string))
	}
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		t.Errorf("the runs are %v, not %v: %v", found, expected, house.Runs())
	}
}

func promoted(t *testing.T, restarts bool) {
	t.Parallel()
	house := service.Open(t, canary+"=healthy")
	f := open(t, house, house.URL())
	if restarts {
		f.before = house.Restart
	}
	f.initialize()
	f.expect(f.rollOut("v2"), flaggerv1.CanaryPhaseSucceeded)
	expectRuns(t, house, "Successful")
}

func TestAHealthyVersionIsPromoted(t *testing.T) { promoted(t, false) }

func TestAHealthyVersionIsPromotedWhateverRestarts(t *testing.T) { promoted(t, true) }

func rolledBackAndTriedAgain(t *testing.T, restarts bool) {
	t.Parallel()
	bad := 100 * time.Second
	mended := time.Now().Add(bad + 5*time.Second)
	house := service.Open(t, fmt.Sprintf("%s=degraded@0s+%v", canary, bad))
	f := open(t, house, house.URL())
	if restarts {
		f.before = house.Restart
	}
	f.initialize()
	f.expect(f.rollOut("v2"), flaggerv1.CanaryPhaseFailed)
	expectRuns(t, house, "Failed")

	// The same version once more: nothing that Flagger says tells the two attempts apart.
	time.Sleep(time.Until(mended))
	f.heard = nil
	f.expect(f.rollOut("v2"), flaggerv1.CanaryPhaseSucceeded)
	if !strings.HasPrefix(f.heard[1], "rollback no, pre-rollout yes, confirm-traffic-increase yes") {
		t.Errorf("it went back for an attempt that was over: %q", f.heard)
	}
	expectRuns(t, house, "Successful", "Failed")
}

func TestADegradedVersionGoesBackAndIsTriedAgain(t *testing.T) { rolledBackAndTriedAgain(t, false) }

func TestADegradedVersionGoesBackWhateverRestarts(t *testing.T) { rolledBackAndTriedAgain(t, true) }

// What fails on the way: of every hook the first call does not arrive, and the answer to the second is lost.
// Flagger's client tries again where the Canary says so, and else takes it for a no.
func TestCallsAndAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	house := service.Open(t, canary+"=healthy")
	target, err := url.Parse(house.URL())
	if err != nil {
		t.Fatal(err)
	}
	var lock sync.Mutex
	calls := map[string]int{}
	pass := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		calls[r.URL.Path]++
		call := calls[r.URL.Path]
		lock.Unlock()
		switch call {
		case 1:
			http.Error(w, "the call was lost", http.StatusServiceUnavailable)
		case 2:
			lost := httptest.NewRecorder()
			pass.ServeHTTP(lost, r)
			http.Error(w, "the answer was lost", http.StatusBadGateway)
		default:
			pass.ServeHTTP(w, r)
		}
	}))
	defer proxy.Close()
	f := open(t, house, proxy.URL)
	// Of these nothing is lost: a confirm-rollout that is in vain is only asked again, and an event is not.
	for _, hook := range []string{"confirm-rollout", "event"} {
		calls["/flagger/"+hook] = 2
	}
	f.initialize()
	f.expect(f.rollOut("v2"), flaggerv1.CanaryPhaseSucceeded)
	// Where something was found before there was traffic, another run has taken over from the one that found it.
	if runs := house.Runs(); runs[0]["phase"] != "Successful" || runs[0]["evidence"] != true {
		t.Errorf("promoted by %v", runs[0])
	}
	// What the Canary has tried again is never a no.
	for _, hook := range []string{"pre-rollout", "rollout", "post-rollout"} {
		for _, round := range f.heard {
			if strings.Contains(round, " "+hook+" no") {
				t.Errorf("%s: %q", hook, f.heard)
			}
		}
	}
}

// What can't be read is refused at once: a 5xx or a 429 would be tried again.
func TestCallsThatNobodyShouldMake(t *testing.T) {
	t.Parallel()
	house := service.Open(t, canary+"=healthy")
	f := open(t, house, house.URL())
	for path, metadata := range map[string]map[string]string{
		"rollout":                  nil,
		"promote":                  {"template": "apdex"},
		"rollout?x=1":              {"template": "nowhere"},
		"pre-rollout":              {"template": "apdex"},
		"rollout?template=%ff":     nil,
		"rollback?clusterScope=so": {"template": "apdex"},
	} {
		begun := time.Now()
		webhook := flaggerv1.CanaryWebhook{URL: house.URL() + "/flagger/" + path, Metadata: &metadata, Retries: 3}
		err := controller.CallWebhook(f.Canary, flaggerv1.CanaryPhaseProgressing, webhook)
		if err == nil || strings.Contains(err.Error(), "giving up") || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %v after %v", path, err, time.Since(begun))
		}
	}
	body := strings.NewReader("{")
	response, err := http.Post(house.URL()+"/flagger/rollout", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if why, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusBadRequest {
		t.Errorf("%s %s", response.Status, why)
	}
}
