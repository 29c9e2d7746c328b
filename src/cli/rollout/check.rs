//! Whether a rollout's analyses could be begun: found out before any traffic is moved, and not at the step that asks for them.

use std::collections::HashSet;

use crate::client::{Client, ClientError, Manifest};
use crate::domain::analysis::{Analysis, Library, Request};
use crate::domain::fault::{Fault, Faults};
use crate::domain::nearest::nearest;
use crate::domain::plan::{Overrides, Plan, Server};
use crate::domain::rollout::{AnalysisSite, Rollout, Step};
use crate::domain::spec::{Argument, Kind, Template, TemplateRef};

/// The most templates that one analysis may come to, those that are nested included: the service takes no more.
const MOST_TEMPLATES: usize = 1_000;

/// What would keep the analyses of `rollout` from being begun at the service of `client`, as far as that can be told from outside.
pub(super) async fn faults_of(
    rollout: &Rollout,
    client: &Client,
) -> Result<Vec<Fault>, ClientError> {
    let mut faults = rollout
        .check_arguments()
        .map_or_else(Faults::into_vec, |()| Vec::new());
    for site in rollout.spec.analyses() {
        match fetch(rollout, site, client).await? {
            Ok(library) => faults.extend(unplannable(rollout, site, &library)),
            Err(missing) => faults.extend(missing),
        }
    }
    Ok(faults)
}

/// The templates that `site` names, with those that they nest; else what is missing of them.
async fn fetch(
    rollout: &Rollout,
    site: &AnalysisSite,
    client: &Client,
) -> Result<Result<Library, Vec<Fault>>, ClientError> {
    let namespace = &rollout.namespace;
    let (mut library, mut missing) = (Library::default(), Vec::new());
    let mut seen = HashSet::new();
    let mut wanted: Vec<TemplateRef> = site.templates.iter().rev().cloned().collect();
    while let Some(reference) = wanted.pop() {
        let (kind, name) = (reference.kind(), reference.name.clone());
        if !seen.insert((kind, name.clone())) || seen.len() > MOST_TEMPLATES {
            continue;
        }
        let which = Manifest {
            kind,
            namespace,
            name: &name,
        };
        match client.get_template(which).await {
            Ok(manifest) => {
                let template = Template::read(kind, &manifest);
                wanted.extend(template.spec.templates.iter().cloned());
                library.insert(template);
            }
            Err(error) if error.is_not_found() => {
                missing.push(absent(namespace, &reference, client).await?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if missing.is_empty() {
        Ok(library)
    } else {
        Err(missing)
    })
}

/// That the service has no such template, with the one that was likely meant.
async fn absent(
    namespace: &str,
    reference: &TemplateRef,
    client: &Client,
) -> Result<Fault, ClientError> {
    let (kind, name) = (reference.kind(), &reference.name);
    let place = match kind {
        Kind::Namespaced => format!(" in the namespace `{namespace}`"),
        Kind::Cluster => String::new(),
    };
    let message = format!("the service has no {} `{name}`{place}", kind.name());
    let within = (kind == Kind::Namespaced).then_some(namespace);
    let page = client.list_templates(kind, within, None).await?;
    let known = page.items.iter().filter_map(|row| row["name"].as_str());
    let hint = match nearest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            "give its file as well, with -f, or apply it with `skygate templates apply`".to_owned()
        }
    };
    Ok(Fault::new(reference.at.clone(), message).hint(hint))
}

/// What is wrong with an analysis whose templates are all there. Which OAPs may be asked, and what secrets hold, only the service knows.
fn unplannable(rollout: &Rollout, site: &AnalysisSite, library: &Library) -> Vec<Fault> {
    let request = Request {
        namespace: rollout.namespace.clone(),
        templates: site.templates.clone(),
        args: site.args.iter().map(stand_in).collect(),
        dry_run: site.dry_run.clone(),
        measurement_retention: site.measurement_retention.clone(),
        ..Request::default()
    };
    let overrides = Overrides {
        server: Some(Server::Named("any".to_owned())),
    };
    let any_secret = |_: &str, _: &str, _: &str| Ok("any".to_owned());
    let analysis = Analysis::assemble(library, &request);
    let plan = match Plan::make(&analysis, &overrides, &any_secret) {
        Ok(plan) => plan,
        Err(faults) => {
            let faults = faults.into_vec().into_iter();
            return faults.map(|fault| at(site, fault)).collect();
        }
    };
    let is_step = |step: &Step| matches!(step, Step::Analysis(of) if **of == *site);
    if !rollout.spec.steps.iter().any(is_step) {
        return Vec::new();
    }
    let endless = plan.metrics.iter().filter(|metric| metric.is_endless());
    let endless = endless.map(|metric| {
        let message = format!(
            "metric `{}` has no count: an analysis that is a step has to end by itself",
            metric.name
        );
        Fault::new(site.at.clone(), message).hint("give the metric a `count`")
    });
    endless.collect()
}

/// The argument with some value, where it gets its own from the rollout.
fn stand_in(argument: &Argument) -> Argument {
    match argument.value {
        Some(_) => argument.clone(),
        None => Argument::new(&argument.name, &argument.name),
    }
}

/// A template's fault, with the analysis that uses it.
fn at(site: &AnalysisSite, fault: Fault) -> Fault {
    if fault.path.starts_with(&site.at) {
        return fault;
    }
    let path = match fault.path.as_str() {
        "" => site.at.clone(),
        path => format!("{}: {path}", site.at),
    };
    Fault { path, ..fault }
}
