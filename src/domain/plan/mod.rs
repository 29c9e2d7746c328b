//! An analysis as it will run: rendered, checked to the strict level, impossible to get wrong.

mod address;
mod entity;
mod expression;
mod make;
mod source;
mod strict;
mod warnings;

use std::sync::Arc;
use std::time::Duration;

use super::analysis::Analysis;
use super::args::Masker;
use super::condition::{Condition, Languages};
use super::fault::Faults;
use super::measurement::Phase;
use super::query::Query;
use super::window::WindowSpec;

pub use expression::aggregate_of_nothing;

/// The metrics of a run, ready to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was made of: enough to make it again, secrets aside.
    pub analysis: Arc<Analysis>,
    /// In the order of the templates; never empty, names are unique.
    pub metrics: Vec<MetricPlan>,
    /// When an ended run may be forgotten.
    pub ttl: Ttl,
    /// The secrets that were rendered into it, to be masked in whatever leaves the process.
    pub masker: Masker,
    /// What a person should know before it runs: `interval 30s is shorter than a bucket of 1m …`.
    pub warnings: Vec<String>,
    /// Why it cannot be measured for now although it is right: a secret that it had when it began is not to be found.
    /// Only a plan that was made again for a run under way has such a reason, and each measurement by it is an Error that tells it.
    pub unready: Option<String>,
}

/// Looks up a secret: namespace, name, key. The error says why there is none.
pub type Secrets<'a> = dyn Fn(&str, &str, &str) -> Result<String, String> + 'a;

/// What the caller decides instead of the templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whom to ask instead of each metric's `address` or `oap`, which may then be missing.
    pub server: Option<Server>,
}

impl Plan {
    /// Plans `analysis`: what Argo would refuse is refused, and everything that running needs on top. All faults at once, secrets masked.
    pub fn make(
        analysis: &Analysis,
        overrides: &Overrides,
        secrets: &Secrets<'_>,
    ) -> Result<Self, Faults> {
        make::make(analysis, overrides, secrets)
    }

    /// What each metric's conditions were found to be written in: [`Analysis::speaking`] has them read so again.
    pub fn languages(&self) -> Vec<Languages> {
        let language =
            |condition: &Option<Arc<Condition>>| condition.as_ref().map(|it| it.language());
        let metrics = self.metrics.iter();
        metrics
            .map(|metric| Languages {
                success: language(&metric.success),
                failure: language(&metric.failure),
            })
            .collect()
    }

    /// Plans once more what was planned before, for a run that is under way or over. Where a secret is not to be found any more, the plan is
    /// [unready](Self::unready) and the run goes on as if its OAP had refused it: a secret may be back in a moment.
    /// The faults are those of an analysis that is no longer valid by the rules of this version.
    pub fn make_again(
        analysis: &Analysis,
        overrides: &Overrides,
        secrets: &Secrets<'_>,
    ) -> Result<Self, Faults> {
        make::make(analysis, overrides, secrets).or_else(|missing| {
            let mut plan = make::make(analysis, overrides, &|_, _, _| Ok(STAND_IN.to_owned()))?;
            plan.unready = Some(missing.to_string());
            plan.masker = Masker::default();
            Ok(plan)
        })
    }
}

/// What stands for a secret that is not to be found, in a plan that is never carried out.
const STAND_IN: &str = "secret";

/// One metric of a [`Plan`].
#[derive(Clone, Debug)]
pub struct MetricPlan {
    /// Its name.
    pub name: String,
    /// The time between the end of a measurement and the next one; `None`: measured once.
    pub interval: Option<Duration>,
    /// The time before the first measurement.
    pub initial_delay: Duration,
    /// What the counts mean.
    pub limits: Limits,
    /// Holds for a good measurement.
    pub success: Option<Arc<Condition>>,
    /// Holds for a bad one; wins over `success`.
    pub failure: Option<Arc<Condition>>,
    /// Measured and shown, never counted towards the run's verdict.
    pub dry_run: bool,
    /// How many measurements are kept; counters keep counting.
    pub retention: usize,
    /// What is read.
    pub source: Arc<SourcePlan>,
    /// What a measurement without data counts as.
    pub no_data: NoData,
    /// How long `NoData::Wait` waits in a row before it ends the metric as Inconclusive.
    pub no_data_timeout: Duration,
}

impl MetricPlan {
    /// Whether nothing but a limit on bad measurements, or somebody else, ever ends it: it has neither a count nor a streak to reach.
    pub fn is_endless(&self) -> bool {
        self.interval.is_some() && self.limits.count == 0 && self.limits.consecutive_success == 0
    }
}

/// A metric's limits. Argo's numbers and Argo's defaults; a negative `failure` or `inconclusive` never strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many measurements end the metric; 0: one without an interval, endless with one.
    pub count: i64,
    /// More failed measurements than this end it as Failed; -1 disables.
    pub failure: i64,
    /// More inconclusive ones than this end it as Inconclusive.
    pub inconclusive: i64,
    /// More errors in a row than this end it as Error.
    pub consecutive_error: i64,
    /// As many successes in a row end it as Successful; 0 disables.
    pub consecutive_success: i64,
    /// Ours: as many failures in a row as this end it as Failed, whatever `failure` still allows; 0 disables.
    pub consecutive_failure: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            count: 0,
            failure: 0,
            inconclusive: 0,
            consecutive_error: 4,
            consecutive_success: 0,
            consecutive_failure: 0,
        }
    }
}

/// `ttlStrategy`: how long after its end a run may be forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttl {
    /// For every phase that has none of its own.
    pub after_completion: Option<Duration>,
    /// For Successful.
    pub after_success: Option<Duration>,
    /// For Failed.
    pub after_failure: Option<Duration>,
}

impl Ttl {
    /// How long a run that ended in `phase` is kept; `None`: nothing is said, or it is not over.
    /// It goes once its age in whole seconds exceeds the limit: a second later than the limit says.
    pub fn after(&self, phase: Phase) -> Option<Duration> {
        let own = match phase {
            Phase::Pending | Phase::Running => return None,
            Phase::Successful => self.after_success,
            Phase::Failed => self.after_failure,
            Phase::Error | Phase::Inconclusive => None,
        };
        let limit = own.or(self.after_completion)?;
        Some(Duration::from_secs(limit.as_secs().saturating_add(1)))
    }
}

/// What a metric reads.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// Whom to ask.
    pub server: Server,
    /// What to ask.
    pub ask: Ask,
    /// For which time.
    pub window: WindowSpec,
    /// What a point without data is to conditions.
    pub gaps: Gaps,
    /// Whether a secret is in what is asked. Then no error quotes the question, or what an OAP says of it.
    pub holds_secret: bool,
}

/// An OAP, as a template names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// `address`: a URL without the `/graphql`.
    Address(String),
    /// `oap`: a name that the operator gave.
    Named(String),
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `query`: GraphQL as the user wrote it.
    Query(Query),
    /// `expression` and `entity`: MQE through `execExpression`.
    Expression {
        /// The rendered expression.
        expression: String,
        /// Whom it is about.
        entity: Entity,
    },
}

/// What an expression is about: SkyWalking's `Entity`, checked to be complete for its scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entity {
    /// `scope`; the OAP infers it where it is absent.
    pub scope: Option<String>,
    /// `serviceName`.
    pub service_name: Option<String>,
    /// `normal`: observed by an agent or mesh itself (true), or only seen as somebody's peer (false).
    pub normal: Option<bool>,
    /// `serviceInstanceName`.
    pub service_instance_name: Option<String>,
    /// `endpointName`.
    pub endpoint_name: Option<String>,
    /// `processName`.
    pub process_name: Option<String>,
    /// `destServiceName`.
    pub dest_service_name: Option<String>,
    /// `destNormal`.
    pub dest_normal: Option<bool>,
    /// `destServiceInstanceName`.
    pub dest_service_instance_name: Option<String>,
    /// `destEndpointName`.
    pub dest_endpoint_name: Option<String>,
    /// `destProcessName`.
    pub dest_process_name: Option<String>,
}

/// `gaps`: what a point without data is to conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gaps {
    /// Left out.
    #[default]
    Skip,
    /// 0, as Argo sees it.
    Zero,
}

/// `noData`: what a measurement counts as when any series it reads has no point with data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoData {
    /// Recorded as Inconclusive, outside every limit, streak and `count`; asked again.
    #[default]
    Wait,
    /// Counted as Inconclusive.
    Inconclusive,
    /// Counted as Failed.
    Failed,
    /// Counted as Successful, though never as evidence.
    Successful,
    /// Counted as Error.
    Error,
    /// Conditions see the zeros of `gaps: zero`, as with Argo: what `settle: 0s` and `gaps: zero` together mean where nothing else is said.
    /// Never evidence, and `Wait` where there is no point at all.
    AsZero,
}
