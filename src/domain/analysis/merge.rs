//! Merges templates and a request: Argo's `FlattenTemplates`, `MergeArgs` and reference lookup, telling all faults.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::fault::{Fault, shown};
use super::super::spec::{
    AnalysisSpec, Argument, DryRunRule, Kind, MetricSpec, RetentionRule, Template, TemplateRef,
};
use super::{Analysis, Library, Part, Request, place_of};

pub(super) fn assemble(library: &Library, request: &Request) -> Analysis {
    let mut faults = request.faults.clone();
    let parts = parts(library, request, &mut faults);
    if parts.is_empty() && faults.is_empty() {
        faults.push(Fault::new(
            "templates",
            "nothing to analyse: name a template or give a spec",
        ));
    }

    let specs = || parts.iter().map(|part| &part.spec);
    let metrics: Vec<MetricSpec> = specs().flat_map(|spec| spec.metrics.clone()).collect();
    refuse_same_names(
        "two metrics have the same name",
        "name",
        metrics.iter().map(|it| (it.name.as_str(), it.at.as_str())),
        &mut faults,
    );
    let dry_run: Vec<DryRunRule> = request
        .dry_run
        .iter()
        .chain(specs().flat_map(|spec| &spec.dry_run))
        .cloned()
        .collect();
    refuse_same_names(
        "two Dry-Run metric rules have the same name",
        "metricName",
        dry_run
            .iter()
            .map(|it| (it.metric_name.as_str(), it.at.as_str())),
        &mut faults,
    );
    let measurement_retention: Vec<RetentionRule> = request
        .measurement_retention
        .iter()
        .chain(specs().flat_map(|spec| &spec.measurement_retention))
        .cloned()
        .collect();
    refuse_same_names(
        "two Measurement Retention metric rules have the same name",
        "metricName",
        measurement_retention
            .iter()
            .map(|it| (it.metric_name.as_str(), it.at.as_str())),
        &mut faults,
    );
    let secret = secrets(specs().flat_map(|spec| &spec.args).chain(&request.args));
    let declared = declare(specs().flat_map(|spec| &spec.args), &mut faults);
    let (args, supplied, mut undeclared) = supply(declared, &request.args);
    let mut named = request
        .templates
        .iter()
        .chain(specs().flat_map(|spec| &spec.templates));
    if named.any(|it| library.find(&request.namespace, it).is_none()) {
        undeclared.clear();
    }
    let ttl = request.ttl.or_else(|| specs().find_map(|spec| spec.ttl));

    Analysis {
        namespace: request.namespace.clone(),
        metrics,
        args,
        ttl: ttl.unwrap_or_default(),
        dry_run,
        measurement_retention,
        undeclared,
        supplied,
        secret,
        languages: Vec::new(),
        parts,
        faults,
    }
}

/// The templates in Argo's order, then the request's own spec; each with paths that tell it from the others.
fn parts(library: &Library, request: &Request, faults: &mut Vec<Fault>) -> Vec<Part> {
    let mut templates = flatten(library, request, faults);
    // Stable: within a kind the order of the references stays.
    templates.sort_by_key(|template| template.kind);

    let several = templates.len() + usize::from(request.spec.is_some()) > 1;
    let mut parts = Vec::with_capacity(templates.len() + 1);
    for template in templates {
        let label = several.then(|| template.label());
        let prefixed = |at: &str| match &label {
            Some(label) if at.is_empty() => label.clone(),
            Some(label) => format!("{label}:{at}"),
            None => at.to_owned(),
        };
        faults.extend(template.faults().iter().map(|fault| Fault {
            path: prefixed(&fault.path),
            ..fault.clone()
        }));
        parts.push(Part {
            name: template.name.clone(),
            spec: relocated(&template.spec, prefixed),
            label,
        });
    }
    parts.extend(request.spec.iter().map(|spec| Part {
        label: None,
        name: String::new(),
        spec: spec.clone(),
    }));
    parts
}

/// The referenced templates with those that they nest, each once, every one before what it nests.
/// With a stack of its own: a chain of thousands of templates must not overflow ours.
fn flatten<'l>(
    library: &'l Library,
    request: &Request,
    faults: &mut Vec<Fault>,
) -> Vec<&'l Template> {
    enum Visit<'l> {
        Enter(TemplateRef),
        Leave(&'l Template),
    }
    let identity = |template: &'l Template| (template.kind, template.name.as_str());

    let mut found: Vec<&Template> = Vec::new();
    let mut seen: HashSet<(Kind, &str)> = HashSet::new();
    let mut entered: HashSet<(Kind, &str)> = HashSet::new();
    let mut stack: Vec<Visit<'_>> = request
        .templates
        .iter()
        .rev()
        .cloned()
        .map(Visit::Enter)
        .collect();
    while let Some(visit) = stack.pop() {
        let reference = match visit {
            Visit::Leave(template) => {
                entered.remove(&identity(template));
                continue;
            }
            Visit::Enter(reference) => reference,
        };
        let Some(template) = library.find(&request.namespace, &reference) else {
            let fault = library.not_found(&request.namespace, &reference);
            if !faults.contains(&fault) {
                faults.push(fault);
            }
            continue;
        };
        if entered.contains(&identity(template)) {
            faults.push(Fault::new(
                reference.at.clone(),
                format!("{} nests itself through this reference", template.label()),
            ));
            continue;
        }
        if !seen.insert(identity(template)) {
            continue;
        }
        found.push(template);
        entered.insert(identity(template));
        stack.push(Visit::Leave(template));
        stack.extend(template.spec.templates.iter().rev().map(|nested| {
            Visit::Enter(TemplateRef {
                at: format!("{}:{}", template.label(), nested.at),
                ..nested.clone()
            })
        }));
    }
    found
}

/// `spec` with other paths.
fn relocated(spec: &AnalysisSpec, place: impl Fn(&str) -> String) -> AnalysisSpec {
    let mut spec = spec.clone();
    let places = spec
        .metrics
        .iter_mut()
        .map(|it| &mut it.at)
        .chain(spec.args.iter_mut().map(|it| &mut it.at))
        .chain(spec.dry_run.iter_mut().map(|it| &mut it.at))
        .chain(spec.measurement_retention.iter_mut().map(|it| &mut it.at));
    for at in places {
        *at = place(at);
    }
    spec
}

fn refuse_same_names<'a>(
    what: &str,
    field: &str,
    names: impl Iterator<Item = (&'a str, &'a str)>,
    faults: &mut Vec<Fault>,
) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, at) in names {
        match first.get(name) {
            Some(earlier) => {
                let message = format!("{what} {}; the first is {}", shown(name), place(earlier));
                faults.push(Fault::new(field, message).under(at));
            }
            None => {
                first.insert(name, at);
            }
        }
    }
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the request's" } else { at }
}

/// The arguments of all templates: a value fills a gap, and two values for one name must be the same.
fn declare<'a>(
    declarations: impl Iterator<Item = &'a Argument>,
    faults: &mut Vec<Fault>,
) -> Vec<Argument> {
    let mut declared: Vec<Argument> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for argument in declarations {
        let Some(&i) = places.get(argument.name.as_str()) else {
            places.insert(&argument.name, declared.len());
            declared.push(argument.clone());
            continue;
        };
        match (&declared[i].value, &argument.value) {
            (Some(first), Some(second)) if first != second => faults.push(
                Fault::new(
                    place_of(argument),
                    format!(
                        "argument {} specified multiple times with different values: {}, {}",
                        shown(&argument.name),
                        shown(first),
                        shown(second)
                    ),
                )
                .hint("give them the same default, or two names"),
            ),
            (Some(_), _) => {}
            (None, _) => declared[i] = argument.clone(),
        }
    }
    declared
}

/// The names that any of `arguments` takes from a secret, even where another one of the name replaces it.
fn secrets<'a>(arguments: impl Iterator<Item = &'a Argument>) -> BTreeSet<String> {
    arguments
        .filter(|argument| {
            let from = argument.value_from.as_ref();
            from.is_some_and(|from| from.secret.is_some())
        })
        .map(|argument| argument.name.clone())
        .collect()
}

/// Puts what was supplied over what is declared. Supplied entries without a value change nothing; what nobody declared is handed back.
///
/// Where a value meets a secret reference, the supplied one wins (Argo keeps both and takes the secret).
fn supply(
    mut declared: Vec<Argument>,
    supplied: &[Argument],
) -> (Vec<Argument>, BTreeSet<String>, Vec<Argument>) {
    let places: BTreeMap<String, usize> = declared
        .iter()
        .enumerate()
        .map(|(i, argument)| (argument.name.clone(), i))
        .collect();
    let mut names = BTreeSet::new();
    let mut undeclared = Vec::new();
    for argument in supplied {
        let Some(&i) = places.get(&argument.name) else {
            undeclared.push(argument.clone());
            continue;
        };
        if let Some(value) = &argument.value {
            declared[i].value = Some(value.clone());
            names.insert(argument.name.clone());
        } else if let Some(value_from) = &argument.value_from {
            declared[i].value = None;
            declared[i].value_from = Some(value_from.clone());
            names.remove(&argument.name);
        }
    }
    (declared, names, undeclared)
}
