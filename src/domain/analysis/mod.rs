//! What is to be analysed: templates and inline metrics, merged, with their arguments; still unrendered, secrets still references.
//!
//! Merging follows Argo Rollouts' `utils/analysis` (which template comes first, which value wins, what counts as a duplicate), and
//! [`Analysis::check`] is what Argo itself would refuse. What *running* needs on top is [`super::plan`]'s.

mod check;
mod library;
mod merge;
mod resolve;
mod rules;
mod written;

use std::collections::BTreeSet;

use super::condition::Languages;
use super::fault::Fault;
use super::plan::Ttl;
use super::spec::{AnalysisSpec, Argument, DryRunRule, MetricSpec, RetentionRule, TemplateRef};

pub(crate) use check::add_new;
pub use check::{Checked, Context};
pub use library::Library;
pub(crate) use resolve::resolve;
pub use resolve::{SUPPLY_BY_FLAG, arguments};
pub use rules::DEFAULT_RETENTION;

/// What somebody asks to be analysed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Where templates and secrets are looked for.
    pub namespace: String,
    /// The templates, in order.
    pub templates: Vec<TemplateRef>,
    /// Metrics of the request's own, after those of the templates.
    pub spec: Option<AnalysisSpec>,
    /// Values for arguments; the last of a name wins.
    pub args: Vec<Argument>,
    /// Rules on top of the templates'.
    pub dry_run: Vec<DryRunRule>,
    /// Rules on top of the templates'; where several match, the templates' win.
    pub measurement_retention: Vec<RetentionRule>,
    /// Instead of the templates' `ttlStrategy`.
    pub ttl: Option<Ttl>,
    /// What is wrong with the form of the request already; it joins whatever else is found.
    pub faults: Vec<Fault>,
}

/// Merged templates and arguments, faults and all. Safe to keep and to show: secrets are references.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Where secrets are looked for.
    pub namespace: String,
    /// The metrics of all templates: namespaced ones first, each before those that it nests; then the request's own.
    pub metrics: Vec<MetricSpec>,
    /// The declared arguments with what was supplied for them.
    pub args: Vec<Argument>,
    /// When the run may be forgotten.
    pub ttl: Ttl,
    /// The request's rules, then the templates'.
    pub dry_run: Vec<DryRunRule>,
    /// The request's rules, then the templates'.
    pub measurement_retention: Vec<RetentionRule>,
    /// Supplied, but declared nowhere: Argo drops these. None where a template is missing: it may declare any.
    pub undeclared: Vec<Argument>,
    supplied: BTreeSet<String>,
    secret: BTreeSet<String>,
    languages: Vec<Languages>,
    parts: Vec<Part>,
    faults: Vec<Fault>,
}

/// One of the templates that an analysis was made of, or the request's own spec.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    /// `AnalysisTemplate/apdex` as the prefix of its paths; `None` where there is nothing to confuse it with.
    label: Option<String>,
    name: String,
    spec: AnalysisSpec,
}

impl Analysis {
    /// Finds the templates that `request` names, with those that they nest, and merges it all.
    /// What is wrong is kept and told by [`Analysis::check`], together with what that finds.
    pub fn assemble(library: &Library, request: &Request) -> Self {
        merge::assemble(library, request)
    }

    /// The names of the declared arguments.
    pub fn declared(&self) -> impl Iterator<Item = &str> {
        self.args.iter().map(|argument| argument.name.as_str())
    }

    /// Whether the value of the argument `name` was supplied and is no default.
    pub fn is_supplied(&self, name: &str) -> bool {
        self.supplied.contains(name)
    }

    /// The arguments whose supplied values stand for secrets: they are in no written form of the analysis.
    pub fn supplied_secrets(&self) -> impl Iterator<Item = &str> {
        self.declared().filter(|name| self.supplies_secret(name))
    }

    /// The same with conditions that are read as these languages, metric by metric, whatever else they might be taken for.
    #[must_use]
    pub fn speaking(self, languages: Vec<Languages>) -> Self {
        Self { languages, ..self }
    }

    /// What the conditions of the metric at this index are to be read as.
    pub(crate) fn languages_of(&self, metric: usize) -> Languages {
        self.languages.get(metric).copied().unwrap_or_default()
    }

    /// Whether the supplied value of the argument `name` stands for a secret: any of the templates, or the request, declares it as one.
    pub fn supplies_secret(&self, name: &str) -> bool {
        self.is_supplied(name) && self.secret.contains(name)
    }
}

/// Where `argument` stands, for faults: those from a command line have no place in a document.
fn place_of(argument: &Argument) -> String {
    if argument.at.is_empty() {
        format!(
            "args.{}",
            super::fault::shown(&argument.name).trim_matches('`')
        )
    } else {
        argument.at.clone()
    }
}
