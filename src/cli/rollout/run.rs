//! `skygate rollout run`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use tokio::sync::watch;

use super::router::{Opened, RouterArgs};
use super::{Interrupt, LONGEST_IMAGE, LONGEST_VERSION, Played, Which, check, play, word};
use crate::cli::options::{FileArgs, Output, positive_duration};
use crate::cli::outcome::{Failure, Outcome as Exit, print, tell, write};
use crate::cli::prepare;
use crate::cli::service::{Remote, ServiceArgs};
use crate::cli::signals::interrupted;
use crate::client::Client;
use crate::documents::{Documents, rollouts};
use crate::domain::fault::{Fault, Faults, listed};
use crate::domain::rollout::desk::Lease;
use crate::domain::rollout::{
    Difference, HookPolicy, Outcome, PauseReason, Rollout, RolloutSpec, Settings, Version, Weight,
};
use crate::hooks::{CommandHook, UrlHook};
use crate::ports::{Hook, Observed};
use crate::stepper::{Ended, OnInterrupt, Orders, RemoteService, Scene, Stepper, StepperError};
use crate::webhook::WebhookOptions;
use crate::wire;

/// Step a rollout to its end
///
/// Reads an Argo Rollout, moves the traffic by its steps, has the service judge the new version, and promotes or aborts on its verdict.
/// What it knows is kept at the service: started again with the same files it goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = "Examples and exit codes: see --help", after_long_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    input: FileArgs,

    /// Name of the version to roll out; without it the tag of --image, else what is being rolled out goes on
    #[arg(long, value_name = "NAME", env = "SKYGATE_REVISION", value_parser = word::<{ LONGEST_VERSION }>)]
    revision: Option<String>,

    /// Image of the version to roll out: --on-promote is told, and whoever looks
    #[arg(long, value_name = "IMAGE", env = "SKYGATE_IMAGE", value_parser = word::<{ LONGEST_IMAGE }>)]
    image: Option<String>,

    /// Name of the stable version, where the service does not know this rollout yet
    #[arg(long, value_name = "NAME", env = "SKYGATE_STABLE", value_parser = word::<{ LONGEST_VERSION }>)]
    stable: Option<String>,

    /// There is no stable version yet: this one is it at once, without steps
    #[arg(long, conflicts_with = "stable")]
    initial: bool,

    /// What makes the new version the stable one once it has all traffic: a command for sh, or an http(s) URL to post to
    ///
    /// It may be run again after it has succeeded. A command has the variables SKYGATE_ROLLOUT_NAMESPACE, _NAME, _REVISION, _IMAGE,
    /// _NUMBER, _KEY, _TRY and _FENCE; api/examples/rollout has two, for kubectl and for git. Without it the canary keeps all traffic until `rollout promote` says that it is the stable version.
    #[arg(long, value_name = "COMMAND|URL", env = "SKYGATE_ON_PROMOTE", value_parser = NonEmptyStringValueParser::new())]
    on_promote: Option<String>,

    /// Time that one try of --on-promote may take
    #[arg(long, value_name = "DURATION", env = "SKYGATE_ON_PROMOTE_TIMEOUT", default_value = "10m", value_parser = positive_duration)]
    on_promote_timeout: Duration,

    /// How often --on-promote is tried before the rollout is Degraded
    #[arg(long, value_name = "N", env = "SKYGATE_ON_PROMOTE_TRIES", default_value_t = HookPolicy::default().tries, value_parser = clap::value_parser!(u32).range(1..=100))]
    on_promote_tries: u32,

    /// Send traffic back once the service has been out of sight for so long; without it the weight is held
    #[arg(long, value_name = "DURATION", env = "SKYGATE_ABORT_WHEN_BLIND", value_parser = positive_duration)]
    abort_when_blind: Option<Duration>,

    /// What to do when interrupted; a second interrupt ends it at once
    #[arg(
        long,
        value_name = "WHAT",
        env = "SKYGATE_ON_INTERRUPT",
        value_enum,
        default_value_t
    )]
    on_interrupt: OnSignal,

    /// Stop as if interrupted after this time, with exit code 5, or 3 where it waits for evidence
    #[arg(long, value_name = "DURATION", env = "SKYGATE_TIMEOUT", value_parser = positive_duration)]
    timeout: Option<Duration>,

    /// Form of the result; json and yaml are all that the service keeps of it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    /// No progress on stderr
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    router: RouterArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

const EXAMPLES: &str = "\
Examples:
  In a cluster, with the templates in the same file, and what makes the new version the stable one:
    skygate rollout run -f rollout.yaml --image registry/reviews:v2 --on-promote ./promote.sh
  By manifests that something else applies:
    skygate rollout run -f rollout.yaml --revision v2 --router file:mesh.yaml
  Through whatever takes a POST, with traffic sent back when nobody can judge it for ten minutes:
    skygate rollout run -f rollout.yaml --revision v2 --router webhook:https://mesh/weights --abort-when-blind 10m
  The same once more, where the one before has died or was interrupted: goes on from there.

Exit codes:
  0    promoted, or all traffic goes to the new version and it waits for rollout promote
  1    aborted: all traffic goes to the stable version
  2    usage, an invalid Rollout or template, or another version is not for now
  3    at --timeout it waits for evidence, or an analysis was inconclusive
  4    it could not be stepped, or the new version not be made the stable one
  5    still under way at --timeout
  130  interrupted";

/// For how long the service may take to show what it keeps at the end. A signal meanwhile is heeded by nobody, which ends the process
/// after three seconds: this must be over by then, for how the rollout ended is what counts.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OnSignal {
    /// The weight stays as it is, for whoever goes on
    #[default]
    Hold,
    /// Traffic goes back to the stable version, within half a minute and also while the service is away; else it says "not aborted"
    Abort,
}

/// What the files hold.
struct Read {
    spec: RolloutSpec,
    /// The texts that have templates in them, each with its file.
    templates: Vec<(String, Vec<u8>)>,
}

impl Run {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let read = self.read()?;
        let namespace = self.input.namespace.clone();
        let namespace = namespace.or_else(|| read.spec.namespace.clone());
        let which = Which {
            name: read.spec.name.clone(),
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        };
        let version = self.version()?;
        let service = self.service.for_a_stepper()?;
        let hook = self.hook(&service)?;
        let clock = Arc::clone(&service.clock);
        // From now on others are waited for.
        let begun = clock.now();
        let mut interrupt: Interrupt = Box::pin(interrupted());
        let late = async {
            match self.timeout {
                Some(timeout) => clock.sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let stepper = Box::pin(self.stepper(read, &which, version, hook, &service));
        let stepper = tokio::select! {
            stepper = stepper => stepper?,
            () = &mut interrupt => return Err(self.too_soon(Exit::Interrupted)),
            () = late => return Err(self.too_soon(Exit::TimedOut)),
        };
        let spent = clock.now().duration_since(begun);
        let spent = Duration::try_from(spent).unwrap_or_default();
        let left = self.timeout.map(|timeout| timeout.saturating_sub(spent));
        let played = play(&stepper, left, self.quiet, interrupt).await?;
        let Played {
            ended,
            is_late,
            scene,
        } = played;
        let ended = ended.map_err(failure)?;
        let is_away = scene.as_ref().is_some_and(|scene| scene.away.is_some());
        let shown = self.show(&which, &service, scene.as_ref());
        let shown = match tokio::time::timeout(SHOWN_WITHIN, shown).await {
            Ok(shown) => shown,
            Err(_) => Err(Failure::broken(anyhow!("the service does not answer"))),
        };
        if is_away && ended == Ended::Over(Outcome::Aborted) {
            // How it ended is known, whatever the service can tell.
            self.note("the service could not be told: whoever steps it next finds that traffic was taken back, and aborts it");
        } else if let Err(failure) = shown {
            // How it ended is known and counts, whether it can be shown or not.
            let why: Vec<String> = failure.problems().collect();
            tell(&format!(
                "warning: how it ended cannot be shown: {}",
                why.join("; ")
            ));
        }
        self.say_what_is_next(ended, scene.as_ref());
        Ok(exit(ended, is_late, scene.as_ref()))
    }

    /// One that may begin: the service has what it needs, and nothing is known that would keep it from going on later.
    async fn stepper(
        &self,
        read: Read,
        which: &Which,
        version: Option<Version>,
        hook: Option<Arc<dyn Hook>>,
        service: &Remote,
    ) -> Result<Stepper, Failure> {
        let Read { spec, templates } = read;
        let namespace = &which.namespace;
        let Opened {
            router,
            place,
            observed,
        } = self.router.open(&spec, namespace, &service.clock).await?;
        for note in &spec.notes {
            self.note(note);
        }
        // At the beginning nothing is lost by waiting.
        let patient = self.service.required()?.client;
        let texts = templates.iter().map(|(_, text)| text.clone()).collect();
        for (file, text) in templates {
            let applied = patient.apply_templates(text, Some(namespace));
            let applied = prepare::patiently(patient.server(), applied).await;
            applied.map_err(|error| error.in_file(&file))?;
        }
        let orders = Orders {
            namespace: namespace.clone(),
            holder: holder(),
            spec: Some(Arc::new(spec)),
            version,
            takes_routes: self.router.take_route,
            stable: self.stable.clone().map(Version::named),
            is_initial: self.initial,
            settings: Settings {
                hook: hook.is_some().then(|| HookPolicy {
                    tries: self.on_promote_tries,
                    ..HookPolicy::default()
                }),
                abort_when_blind: self.abort_when_blind,
                router: Some(place),
            },
            on_interrupt: match self.on_interrupt {
                OnSignal::Hold => OnInterrupt::Hold,
                OnSignal::Abort => OnInterrupt::Abort,
            },
        };
        let check = self.check(&orders, which, observed, &patient);
        prepare::patiently(patient.server(), check).await?;
        let remote = RemoteService::new(service.client.clone(), namespace, &which.name);
        Ok(Stepper {
            service: Arc::new(remote.with_templates(texts)),
            router,
            orders,
            hook,
            clock: Arc::clone(&service.clock),
            stage: watch::Sender::new(None),
        })
    }

    /// That it was interrupted, or its time was up, before it had begun: the traffic is as it was.
    fn too_soon(&self, outcome: Exit) -> Failure {
        let why = match outcome {
            Exit::TimedOut => "not begun at --timeout",
            _ => "interrupted before it was begun",
        };
        let why = format!("{why}: nothing was moved");
        match self.on_interrupt {
            OnSignal::Hold => Failure::cut_short(outcome, why),
            OnSignal::Abort => failure(StepperError::NotAborted(why)),
        }
    }

    /// Finds out now what would keep an analysis from being begun later, and whether these are the routes that were moved so far: `observed`
    /// is how they are. One that goes on has begun its analyses, or is told only.
    async fn check(
        &self,
        orders: &Orders,
        which: &Which,
        observed: Option<Observed>,
        client: &Client,
    ) -> Result<(), Failure> {
        let kept = match client.rollout(which.name()).await {
            Ok(kept) => Some(kept),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let lease = kept.as_ref().and_then(|kept| kept.lease.as_ref());
        if let Some(Lease {
            holder, expires_at, ..
        }) = lease
        {
            let until = expires_at.strftime("%H:%M:%SZ");
            self.note(&format!(
                "`{holder}` has the lease until {until}: this one goes on then, unless it is renewed"
            ));
        }
        let record = kept.as_ref().and_then(|kept| kept.record.as_ref());
        // One that cannot be read is the stepper's to tell of.
        let known = record.and_then(|record| Rollout::from_record(record).ok());
        if let Some(known) = &known
            && let Some(before) = &known.settings.router
            && Some(before) != orders.settings.router.as_ref()
            && observed.is_none_or(|it| it.lacks_fence)
            && known.routed > Weight::NONE
            && !orders.takes_routes
        {
            return Err(strange_routes(known.routed, before));
        }
        let orders = match &known {
            None => orders,
            Some(known) => &Orders {
                version: orders
                    .version
                    .clone()
                    .or(Some(known.revision.version.clone())),
                stable: known.stable.clone(),
                is_initial: false,
                ..orders.clone()
            },
        };
        let first = orders.first(jiff::Timestamp::UNIX_EPOCH);
        let first = first.ok_or_else(|| failure(StepperError::NothingToDo))?;
        let goes_on = known.is_some_and(|known| {
            let version = &first.revision.version;
            known.spec.analysis == first.spec.analysis
                && known.compare(&first.spec, version) == Ok(Difference::None)
        });
        let faults = check::faults_of(&first, client).await?;
        if goes_on {
            for fault in faults {
                tell(&format!("warning: {fault}"));
            }
            return Ok(());
        }
        Ok(Faults::none_or(faults, ())?)
    }

    async fn show(
        &self,
        which: &Which,
        service: &Remote,
        scene: Option<&Scene>,
    ) -> Result<(), Failure> {
        let form = match self.output {
            Output::Text => {
                let Some(scene) = scene else { return Ok(()) };
                return print(&scene.draw(service.clock.now()));
            }
            Output::Json => wire::json,
            Output::Yaml => wire::yaml,
        };
        let kept = service.client.rollout(which.name()).await?;
        write(&form(&kept.view).map_err(Failure::broken)?)
    }

    /// What somebody has to do now, where the tree does not say it.
    fn say_what_is_next(&self, ended: Ended, scene: Option<&Scene>) {
        match ended {
            Ended::Held => self.note("the weight is held: the same command goes on from here"),
            Ended::Over(Outcome::PromotionFailed) => {
                let said = scene.map_or("", |scene| scene.rollout.hook_output.as_str());
                if !said.is_empty() {
                    self.note(&format!("the on-promote hook said:\n{said}"));
                }
                self.note(
                    "once that is mended: `skygate rollout retry`, then the same command again",
                );
            }
            Ended::Over(Outcome::Promoted | Outcome::Unconfirmed | Outcome::Aborted) => {}
        }
    }

    fn note(&self, text: &str) {
        if !self.quiet {
            tell(&format!("note: {text}"));
        }
    }

    fn read(&self) -> Result<Read, Failure> {
        let (mut documents, mut templates) = (Vec::new(), Vec::new());
        let mut faults = Vec::new();
        for path in &self.input.files {
            let text = prepare::text(path)?;
            let file = prepare::called(path);
            let place = |fault: Fault| Fault {
                path: match fault.path.as_str() {
                    "" => file.clone(),
                    path => format!("{file}: {path}"),
                },
                ..fault
            };
            let (found, wrong) = rollouts(&text);
            faults.extend(wrong.into_iter().map(place));
            documents.extend(found);
            let read = Documents::read(&text);
            if !read.templates.is_empty() {
                let of_templates = read.templates.iter().flat_map(|it| it.faults().to_vec());
                faults.extend(of_templates.map(place));
                templates.push((file, text));
            }
        }
        let files: Vec<String> = self
            .input
            .files
            .iter()
            .map(|it| prepare::called(it))
            .collect();
        let files = listed(files.iter().map(String::as_str));
        let spec = match documents.as_slice() {
            [only] => match RolloutSpec::read(only) {
                Ok(spec) => Some(spec),
                Err(found) => {
                    faults.extend(found.into_vec());
                    None
                }
            },
            [] => {
                faults.push(Fault::new("", format!("no Rollout in {files}")));
                None
            }
            several => {
                let count = several.len();
                let message = format!("{count} Rollouts in {files}; one is stepped at a time");
                faults.push(Fault::new("", message));
                None
            }
        };
        let spec = Faults::none_or(faults, spec)?;
        let spec = spec.ok_or_else(|| Failure::usage(anyhow!("no Rollout in {files}")))?;
        Ok(Read { spec, templates })
    }

    fn version(&self) -> Result<Option<Version>, Failure> {
        let image = self.image.clone();
        let name = match (&self.revision, &image) {
            (Some(name), _) => name.clone(),
            (None, None) if self.initial => {
                return Err(Failure::usage(anyhow!(
                    "--initial needs a --revision or an --image"
                )));
            }
            (None, None) => return Ok(None),
            (None, Some(image)) => {
                let tag = tag_of(image)
                    .ok_or_else(|| Failure::usage(anyhow!("the image `{image}` has no tag")));
                let tag = tag.and_then(|tag| {
                    word::<{ LONGEST_VERSION }>(&tag).map_err(|why| {
                        Failure::usage(anyhow!(
                            "the tag of the image `{image}` is no version: {why}"
                        ))
                    })
                });
                tag.map_err(|failure| failure.hint("--revision names the version"))?
            }
        };
        Ok(Some(Version { name, image }))
    }

    fn hook(&self, service: &Remote) -> Result<Option<Arc<dyn Hook>>, Failure> {
        let Some(hook) = &self.on_promote else {
            return Ok(None);
        };
        let clock = Arc::clone(&service.clock);
        if hook.starts_with("http://") || hook.starts_with("https://") {
            let options = WebhookOptions {
                keys: self.router.keys()?,
                timeout: self.on_promote_timeout,
                ..WebhookOptions::new(hook)
            };
            let hook = UrlHook::new(options, clock).map_err(Failure::usage)?;
            return Ok(Some(Arc::new(hook)));
        }
        let hook = CommandHook::new(hook, self.on_promote_timeout, clock);
        Ok(Some(Arc::new(hook)))
    }
}

/// `v2` of `docker.io/istio/reviews:v2`; what tells a digest from others.
fn tag_of(image: &str) -> Option<String> {
    if let Some((_, digest)) = image.split_once('@') {
        let hash = digest.rsplit(':').next().unwrap_or_default();
        return (!hash.is_empty()).then(|| hash.chars().take(12).collect());
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    let (_, tag) = last.split_once(':')?;
    (!tag.is_empty()).then(|| tag.to_owned())
}

/// A name that no other stepper has: where and what it is, as far as that is known, and something of its own.
fn holder() -> String {
    let host = std::env::var_os("HOSTNAME").and_then(|host| host.into_string().ok());
    let host: String = host
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
        .take(100)
        .collect();
    let host = if host.is_empty() { "stepper" } else { &host };
    let own = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}/{}/{}", std::process::id(), &own[..8])
}

fn exit(ended: Ended, is_late: bool, scene: Option<&Scene>) -> Exit {
    let lacks_verdict = scene.is_some_and(|scene| {
        scene.rollout.pauses.iter().any(|pause| match pause.reason {
            PauseReason::InconclusiveAnalysisRun | PauseReason::NoEvidence => true,
            PauseReason::CanaryPauseStep => false,
        })
    });
    match ended {
        Ended::Over(Outcome::Promoted | Outcome::Unconfirmed) => Exit::Successful,
        Ended::Over(Outcome::Aborted) => Exit::Failed,
        Ended::Over(Outcome::PromotionFailed) => Exit::Error,
        Ended::Held if !is_late => Exit::Interrupted,
        Ended::Held if lacks_verdict => Exit::Inconclusive,
        Ended::Held => Exit::TimedOut,
    }
}

/// That the routes are not those of a rollout that has moved traffic: it leaves its mark where it does.
fn strange_routes(routed: Weight, before: &str) -> Failure {
    Failure::usage(anyhow!(
        "the canary has {routed} % of the traffic by `--router {before}`, and these are other routes, not all of which carry this rollout's mark"
    ))
    .hint("give the router of before; --take-route goes on with this one, and leaves what the other has moved as it is")
}

fn failure(error: StepperError) -> Failure {
    match &error {
        StepperError::Refused { .. } | StepperError::Service(_) => Failure::usage(error),
        StepperError::NothingToDo => {
            Failure::usage(error).hint("--revision NAME or --image IMAGE says what to roll out")
        }
        StepperError::Fenced(_) => Failure::broken(error).hint(
            "look for the other stepper first; where there is none any more, remove its number, the annotation skygate.io/fence, and say --take-route",
        ),
        StepperError::Elsewhere { .. } => Failure::usage(error).hint(
            "abort it with the Rollout as it was, then begin anew; --take-route goes on with the other routes all the same",
        ),
        StepperError::Held(_)
        | StepperError::Lost(_)
        | StepperError::Forgotten(_)
        | StepperError::NotAborted(_)
        | StepperError::Away(_)
        | StepperError::Record(_) => Failure::broken(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_called_as_its_image_is() {
        let check = |image: &str, expected: Option<&str>| {
            assert_eq!(tag_of(image).as_deref(), expected, "{image}");
        };
        check("reviews:v2", Some("v2"));
        check("docker.io:5000/istio/reviews:1.20", Some("1.20"));
        check("docker.io:5000/istio/reviews", None);
        check("reviews@sha256:0123456789abcdef", Some("0123456789ab"));
        check("reviews:", None);
    }
}
