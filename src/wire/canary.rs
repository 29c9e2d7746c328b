//! What Flagger has asked about a canary, and what it was answered.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{PhaseName, time};
use crate::domain::flagger::{Attempt, Entry, Record};
use crate::domain::run::Run;

/// What a canary is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedBy {
    /// The template's name.
    pub template: String,
    /// The template's namespace; empty for a `ClusterAnalysisTemplate`.
    pub template_namespace: String,
}

/// What is kept of a canary for one template that judges it.
#[derive(Clone, Debug)]
pub struct KeptCanary {
    /// The template.
    pub by: JudgedBy,
    /// What Flagger has asked.
    pub record: Record,
    /// The runs of its attempts that are still kept.
    pub runs: Vec<Run>,
}

/// A canary and a template that judges it, as a row of a table. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryRow {
    namespace: String,
    /// The canary's.
    name: String,
    template: String,
    /// Empty for a `ClusterAnalysisTemplate`.
    template_namespace: String,
    /// The number of the newest attempt; null where there was none.
    attempt: Option<u64>,
    /// The version that it is, or was, an attempt at.
    checksum: Option<String>,
    /// Whether the attempt is under way.
    is_open: bool,
    /// The phase of the attempt's run; null where that is not kept any more.
    #[schema(value_type = Option<PhaseName>)]
    phase: Option<&'static str>,
    /// The id of that run.
    run: Option<String>,
    #[schema(format = DateTime)]
    opened_at: Option<String>,
    #[schema(format = DateTime)]
    closed_at: Option<String>,
    /// The newest call.
    last_call: Option<CallView>,
    /// What is wrong with what is kept; null where it can be read.
    trouble: Option<String>,
}

/// A page of canaries, by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
pub struct CanaryPage {
    /// One canary and template a row.
    pub items: Vec<CanaryRow>,
    /// What to send as `cursor` for the page after it; null where this is the last one.
    pub next: Option<String>,
}

/// All that is kept of a canary. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryView {
    namespace: String,
    name: String,
    /// The attempts at a version, newest first.
    attempts: Vec<AttemptView>,
    /// The calls that belong to no attempt, newest first.
    calls: Vec<CallView>,
    /// What is kept and cannot be read, a line each.
    troubles: Vec<String>,
}

/// One attempt at a version: from the first hook of its rollout to its end.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    template: String,
    /// Empty for a `ClusterAnalysisTemplate`.
    template_namespace: String,
    /// Which attempt of this canary by this template it is, from 1.
    number: u64,
    /// The version.
    checksum: String,
    /// Whether it is under way.
    is_open: bool,
    /// The phase of its run; null where that is not kept any more.
    #[schema(value_type = Option<PhaseName>)]
    phase: Option<&'static str>,
    /// Why the run ended so, in one line; empty while it is under way.
    explanation: String,
    /// Whether every metric that counts has a good measurement.
    evidence: bool,
    /// The id of its run.
    run: String,
    /// The arguments that the run was started with.
    args: BTreeMap<String, String>,
    #[schema(format = DateTime)]
    opened_at: String,
    /// When the version was first allowed to take traffic, or its attempt began with some.
    #[schema(format = DateTime)]
    traffic_since: Option<String>,
    /// When it was last allowed to take some, or more.
    #[schema(format = DateTime)]
    last_increase: Option<String>,
    #[schema(format = DateTime)]
    closed_at: Option<String>,
    /// Its newest calls, newest first.
    calls: Vec<CallView>,
}

/// One of Flagger's calls.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallView {
    #[schema(format = DateTime)]
    at: String,
    /// Which hook it was.
    hook: &'static str,
    /// The canary's phase, in Flagger's words.
    phase: String,
    /// The version that it was about.
    checksum: String,
    /// The status that it was answered with.
    status: u16,
    /// The line that it was answered with; of an event, what it said.
    text: String,
}

impl JudgedBy {
    /// The canary's name and what judges it, of the name of a record.
    pub fn of_record(name: &str) -> (String, Self) {
        let mut parts = name.splitn(3, '/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (canary, scope, template) = (next(), next(), next());
        let of_cluster = scope == crate::domain::flagger::CLUSTER_SCOPE;
        let template_namespace = if of_cluster { String::new() } else { scope };
        let by = Self {
            template,
            template_namespace,
        };
        (canary, by)
    }
}

impl CanaryRow {
    /// A record as it is; `run` is the one of its newest attempt, if that is still kept.
    pub fn new(
        namespace: &str,
        name: String,
        by: JudgedBy,
        record: &Record,
        run: Option<&Run>,
    ) -> Self {
        let attempt = record.attempt.as_ref();
        let moment = |of: fn(&Attempt) -> Option<Timestamp>| Some(time(of(attempt?)?));
        Self {
            attempt: attempt.map(|attempt| attempt.number),
            checksum: attempt.map(|attempt| attempt.checksum.clone()),
            is_open: attempt.is_some_and(|attempt| attempt.closed_at.is_none()),
            phase: attempt.and_then(|attempt| phase(attempt, run)),
            run: attempt.map(|attempt| attempt.run.to_string()),
            opened_at: moment(|attempt| Some(attempt.opened_at)),
            closed_at: moment(|attempt| attempt.closed_at),
            last_call: record.history.back().map(CallView::of),
            ..Self::unreadable(namespace, name, by, String::new())
        }
        .readable()
    }

    /// What is kept of a canary and cannot be read, and why.
    pub fn unreadable(namespace: &str, name: String, by: JudgedBy, why: String) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name,
            template: by.template,
            template_namespace: by.template_namespace,
            attempt: None,
            checksum: None,
            is_open: false,
            phase: None,
            run: None,
            opened_at: None,
            closed_at: None,
            last_call: None,
            trouble: Some(why),
        }
    }

    fn readable(self) -> Self {
        Self {
            trouble: None,
            ..self
        }
    }
}

impl CanaryView {
    /// What these records say of a canary; `troubles` are told of those that cannot be read.
    pub fn new(namespace: &str, name: &str, kept: &[KeptCanary], troubles: Vec<String>) -> Self {
        let mut attempts: Vec<(&KeptCanary, &Attempt)> = kept
            .iter()
            .flat_map(|it| it.record.attempts().map(move |attempt| (it, attempt)))
            .collect();
        // Stable: of one template the newest is the first already.
        attempts.sort_by_key(|(_, attempt)| Reverse(attempt.opened_at));
        let mut calls: Vec<&Entry> = kept.iter().flat_map(|it| it.record.calls(None)).collect();
        calls.sort_by_key(|call| Reverse(call.at));
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            attempts: attempts
                .into_iter()
                .map(|(kept, attempt)| AttemptView::of(kept, attempt))
                .collect(),
            calls: calls.into_iter().map(CallView::of).collect(),
            troubles,
        }
    }
}

impl AttemptView {
    fn of(kept: &KeptCanary, attempt: &Attempt) -> Self {
        let KeptCanary { by, record, runs } = kept;
        let run = runs.iter().find(|run| run.id == attempt.run);
        let end = attempt.end.as_ref();
        Self {
            template: by.template.clone(),
            template_namespace: by.template_namespace.clone(),
            number: attempt.number,
            checksum: attempt.checksum.clone(),
            is_open: attempt.closed_at.is_none(),
            phase: phase(attempt, run),
            explanation: match (end, run) {
                (Some(end), _) => end.why.clone(),
                (None, run) => run.map(Run::explanation).unwrap_or_default(),
            },
            evidence: end.map_or_else(|| run.is_some_and(Run::has_evidence), |end| end.evidence),
            run: attempt.run.to_string(),
            args: attempt.args.clone().unwrap_or_default(),
            opened_at: time(attempt.opened_at),
            traffic_since: attempt.traffic_since.map(time),
            last_increase: attempt.last_increase.map(time),
            closed_at: attempt.closed_at.map(time),
            calls: record
                .calls(Some(attempt.number))
                .map(CallView::of)
                .collect(),
        }
    }
}

/// The phase of an attempt's run: how it ended, or how it stands.
fn phase(attempt: &Attempt, run: Option<&Run>) -> Option<&'static str> {
    let end = attempt.end.as_ref().map(|end| end.phase);
    let phase = end.or(run.map(|run| run.phase))?;
    Some(phase.name())
}

impl CallView {
    fn of(entry: &Entry) -> Self {
        Self {
            at: time(entry.at),
            hook: entry.hook.name(),
            phase: entry.phase.clone(),
            checksum: entry.checksum.clone(),
            status: entry.status,
            text: entry.text.clone(),
        }
    }
}
