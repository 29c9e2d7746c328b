//! From what a caller asks for to a plan: templates found, merged, rendered, checked to the strict level.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::problem::Problem;
use crate::domain::analysis::{Analysis, Library, Request};
use crate::domain::fault::{Fault, Faults, shown};
use crate::domain::plan::{Overrides, Plan};
use crate::domain::spec::{Kind, Template, TemplateRef};
use crate::ports::{MetricSource, RecordKey, RecordKind, Records, StoreError};

/// The most templates that one request may come to, those that are nested included.
const MOST_TEMPLATES: usize = 1_000;

/// The most templates that are looked at to say which was meant.
const MOST_LOOKED_AT: usize = 1_000;

/// Looks up a secret: namespace, name, key. The error says why there is none.
pub type Secrets = dyn Fn(&str, &str, &str) -> Result<String, String> + Send + Sync;

/// What makes plans of requests.
#[derive(Clone)]
pub struct Planner {
    /// Where templates are kept.
    pub records: Arc<dyn Records>,
    /// Where secrets are.
    pub secrets: Arc<Secrets>,
    /// What the operator decides instead of the templates.
    pub overrides: Overrides,
    /// Who is asked, and who says whom it may ask.
    pub source: Arc<dyn MetricSource>,
}

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner")
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

impl Planner {
    /// A plan for `request`, ready to be carried out; else all that is wrong with it.
    pub async fn plan(&self, request: Request) -> Result<Arc<Plan>, Problem> {
        let library = self.library(&request).await?;
        self.off_the_loop(move |planner| {
            let analysis = Analysis::assemble(&library, &request);
            let supplied = supplied_secrets(&analysis, &request);
            planner.make(&analysis, supplied)
        })
        .await
    }

    /// A plan for what has been planned before, with everything as it is now.
    pub async fn plan_anew(&self, analysis: Arc<Analysis>) -> Result<Arc<Plan>, Problem> {
        self.off_the_loop(move |planner| planner.make(&analysis, Vec::new()))
            .await
    }

    /// Secrets are files, and a large analysis takes a while to parse.
    async fn off_the_loop(
        &self,
        make: impl FnOnce(&Self) -> Result<Plan, Faults> + Send + 'static,
    ) -> Result<Arc<Plan>, Problem> {
        let planner = self.clone();
        let planned = spawn_blocking(move || make(&planner)).await;
        let plan = planned.map_err(Problem::internal)?;
        plan.map(Arc::new).map_err(Problem::invalid)
    }

    fn make(&self, analysis: &Analysis, found: Vec<Fault>) -> Result<Plan, Faults> {
        let secrets = |namespace: &str, name: &str, key: &str| (self.secrets)(namespace, name, key);
        match Plan::make(analysis, &self.overrides, &secrets) {
            Err(faults) => Err(faults.after(found)),
            Ok(plan) => {
                let mut faults = found;
                faults.extend(self.not_admitted(&plan));
                Faults::none_or(faults, plan)
            }
        }
    }

    /// The metrics whose OAP is none that may be asked.
    fn not_admitted<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Fault> + 'a {
        let written = plan.analysis.metrics.iter();
        plan.metrics
            .iter()
            .zip(written)
            .filter_map(|(metric, written)| {
                let refused = self.source.admits(&metric.source).err()?;
                let message = plan.masker.mask(&refused.message);
                Some(Fault::new("provider.skywalking", message).under(&written.at))
            })
    }

    /// The templates that `request` names, with those that they nest. Where one is missing the others are there too, to find the one that was meant.
    async fn library(&self, request: &Request) -> Result<Library, Problem> {
        let mut library = Library::default();
        let mut seen = HashSet::new();
        let mut wanted: Vec<TemplateRef> = request.templates.clone();
        let mut is_one_missing = false;
        while let Some(reference) = wanted.pop() {
            if !seen.insert((reference.kind(), reference.name.clone())) {
                continue;
            }
            if seen.len() > MOST_TEMPLATES {
                return Err(Problem::invalid(Faults::from(Fault::new(
                    "templates",
                    format!(
                        "come to more than {MOST_TEMPLATES} templates with those that they nest"
                    ),
                ))));
            }
            let key = key_of(&request.namespace, &reference);
            match self.records.read(&key).await? {
                Some(record) => {
                    let template = Template::read(reference.kind(), &record.body);
                    wanted.extend(template.spec.templates.iter().cloned());
                    library.insert(template);
                }
                None => is_one_missing = true,
            }
        }
        if is_one_missing {
            self.add_neighbours(&request.namespace, &mut library)
                .await?;
        }
        Ok(library)
    }

    async fn add_neighbours(
        &self,
        namespace: &str,
        library: &mut Library,
    ) -> Result<(), StoreError> {
        for (kind, of, namespace) in [
            (RecordKind::Template, Kind::Namespaced, Some(namespace)),
            (RecordKind::ClusterTemplate, Kind::Cluster, None),
        ] {
            let records = self
                .records
                .records(kind, namespace, None, MOST_LOOKED_AT)
                .await?;
            for record in records {
                library.insert(Template::read(of, &record.body));
            }
        }
        Ok(())
    }
}

/// The key of the record that keeps the template of a reference in `namespace`.
fn key_of(namespace: &str, reference: &TemplateRef) -> RecordKey {
    match reference.kind() {
        Kind::Namespaced => RecordKey::new(RecordKind::Template, namespace, &reference.name),
        Kind::Cluster => RecordKey::new(RecordKind::ClusterTemplate, "", &reference.name),
    }
}

/// Values that were sent for arguments that are secrets: runs are kept in a file, and nothing secret may be in it.
fn supplied_secrets(analysis: &Analysis, request: &Request) -> Vec<Fault> {
    let supplied = request
        .args
        .iter()
        .filter(|argument| argument.value.is_some() && analysis.supplies_secret(&argument.name));
    let fault = |argument: &crate::domain::spec::Argument| {
        let name = shown(&argument.name);
        Fault::new(
            format!("{}.value", argument.at),
            format!("argument {name} is a secret: its value would be kept with the run"),
        )
        .hint("put it into a file below the folder of --secrets and name that: `valueFrom: { secretKeyRef: { name: NAME, key: KEY } }`")
    };
    supplied.map(fault).collect()
}
