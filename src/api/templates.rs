//! Templates and cluster templates: applied, listed, shown, deleted.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::Regex;
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tracing::info;
use utoipa::ToSchema;

use super::App;
use super::extract::{Manifests, Name, Named, Parameters};
use super::problem::{Kind as Problems, Problem};
use super::rendering::Written;
use crate::documents::Documents;
use crate::domain::analysis::{Analysis, Context, Library, Request};
use crate::domain::args::{Piece, pieces};
use crate::domain::fault::{Fault, Faults, shown};
use crate::domain::spec::{Argument, Kind, Template, TemplateRef};
use crate::ports::{Change, Expected, Record, RecordKey, RecordKind, StoreError, To};

/// The most templates in one request.
const MOST_TEMPLATES: usize = 1_000;

/// How often templates are compared with what is kept, where others change it meanwhile.
const TRIES: u32 = 50;

/// How many rows a page has, and how many it may have.
pub(super) const PAGE: usize = 100;
pub(super) const LONGEST_PAGE: usize = 500;

/// What became of templates that were applied.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Applied {
    /// Each of them, in the order of the documents.
    items: Vec<AppliedItem>,
    /// What was passed over or left out, one line each.
    notes: Vec<String>,
}

/// What became of one template.
#[derive(Debug, Serialize, ToSchema)]
struct AppliedItem {
    kind: &'static str,
    /// Empty for a `ClusterAnalysisTemplate`.
    namespace: String,
    name: String,
    /// `created`, `configured` or `unchanged`.
    result: &'static str,
}

/// A page of templates, by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TemplatePage {
    items: Vec<TemplateRow>,
    /// What to send as `cursor` for the page after it; null where this is the last one.
    next: Option<String>,
}

/// A template as a row of a table. Every field is always there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateRow {
    kind: &'static str,
    namespace: String,
    name: String,
    /// Its metrics' names, with commas between them.
    metrics: String,
    /// Its arguments' names, with commas between them.
    args: String,
    #[schema(format = DateTime)]
    changed_at: String,
}

/// Applies every template in the body, or none: all that is wrong with any of them is told at once.
///
/// The body is YAML or JSON, several documents if need be. A template without a namespace gets that of the parameter, else `default`.
#[utoipa::path(
    post,
    path = "/api/v1/templates",
    tag = "templates",
    operation_id = "applyTemplates",
    params(
        ("namespace" = Option<String>, Query, description = "The namespace of templates that say none; `default` where it is left out")
    ),
    request_body(
        description = "AnalysisTemplates and ClusterAnalysisTemplates, YAML or JSON, several documents if need be",
        content(
            (String = "application/yaml"),
            (Object = "application/json")
        )
    ),
    responses(
        (status = 200, description = "What became of each", body = Applied),
    )
)]
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    uri: Uri,
    Manifests(text): Manifests,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri)?;
    let namespace = parameters.text("namespace");
    let namespace = parameters.done(namespace)?;
    // Four megabytes of YAML take a while.
    let read = spawn_blocking(move || Batch::read(&text, namespace.as_deref())).await;
    let batch = read.map_err(Problem::internal)??;
    let applied = batch.keep(&app).await?;
    Ok(Written::of(&applied).answer(StatusCode::OK))
}

/// Templates that are fit to be kept.
struct Batch {
    templates: Vec<(RecordKey, Kind, Value)>,
    notes: Vec<String>,
}

impl Batch {
    fn read(text: &[u8], namespace: Option<&str>) -> Result<Self, Problem> {
        let Documents {
            templates,
            manifests,
            mut notes,
            mut faults,
        } = Documents::read(text);
        if templates.is_empty() {
            return Err(nothing(faults, &notes));
        }
        if templates.len() > MOST_TEMPLATES {
            let found = templates.len();
            faults.push(Fault::new(
                "",
                format!("holds {found} templates; at most {MOST_TEMPLATES} are taken at once"),
            ));
            return Err(Problem::invalid(
                Faults::none_or(faults, ()).expect_err("one was pushed"),
            ));
        }
        let several = templates.len() > 1;
        let mut batch = Vec::new();
        let mut seen = BTreeSet::new();
        for (template, mut manifest) in templates.into_iter().zip(manifests) {
            let place = |path: &str| match (several, path) {
                (false, path) => path.to_owned(),
                (true, "") => template.label(),
                (true, path) => format!("{}:{path}", template.label()),
            };
            let mut found = unfit(&template, &manifest);
            let home = match home_of(&template, namespace) {
                Ok(home) => home,
                Err(fault) => {
                    found.push(fault);
                    String::new()
                }
            };
            let key = key_of(template.kind, &home, &template.name);
            if !seen.insert(key.clone()) {
                found.push(
                    Fault::new("", "is given twice").hint("remove one, or give them two names"),
                );
            }
            faults.extend(found.into_iter().map(|fault| Fault {
                path: place(&fault.path),
                ..fault
            }));
            if tidy(&mut manifest, &home) {
                notes.push(format!(
                    "{}: credentials in an address were left out; the operator gives them with --oap NAME=URL",
                    template.label()
                ));
            }
            batch.push((key, template.kind, manifest));
        }
        let batch = Self {
            templates: batch,
            notes,
        };
        Faults::none_or(faults, batch).map_err(Problem::invalid)
    }

    /// Keeps them all as one change, also where another batch with the same names is being kept: what is found unchanged has to be so
    /// still when the others are written.
    async fn keep(self, app: &App) -> Result<Applied, Problem> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (items, changes) = self.compared(app).await?;
            let changed = changes.iter().filter(|it| it.to != To::Same).count();
            if changed > 0 {
                let now = app.ports.clock.now();
                match app.ports.records.change(&changes, now).await {
                    Ok(_) => info!(changed, "{changed} templates were applied"),
                    Err(StoreError::Changed { .. }) if tries < TRIES => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(Applied {
                items,
                notes: self.notes,
            });
        }
    }

    /// What each of them is beside what is kept, and what makes that of it.
    async fn compared(&self, app: &App) -> Result<(Vec<AppliedItem>, Vec<Change>), Problem> {
        let (mut items, mut changes) = (Vec::new(), Vec::new());
        for (key, kind, manifest) in &self.templates {
            let known = app.ports.records.read(key).await?;
            let (result, to) = match &known {
                None => ("created", To::Body(manifest.clone())),
                Some(record) if record.body == *manifest => ("unchanged", To::Same),
                Some(_) => ("configured", To::Body(manifest.clone())),
            };
            items.push(AppliedItem {
                kind: kind.name(),
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                result,
            });
            changes.push(Change {
                key: key.clone(),
                expected: known.map_or(Expected::Absent, |it| Expected::Version(it.version)),
                to,
            });
        }
        Ok((items, changes))
    }
}

fn nothing(mut faults: Vec<Fault>, notes: &[String]) -> Problem {
    if faults.is_empty() {
        let mut message =
            "no AnalysisTemplate and no ClusterAnalysisTemplate in the body".to_owned();
        if !notes.is_empty() {
            message = format!("{message}: {}", notes.join("; "));
        }
        faults.push(Fault::new("", message));
    }
    Problem::malformed(Faults::none_or(faults, ()).expect_err("there is one at least"))
}

/// The namespace that a template lives in; empty for one that lives in none.
fn home_of(template: &Template, asked: Option<&str>) -> Result<String, Fault> {
    match (template.kind, template.namespace.as_deref(), asked) {
        (Kind::Cluster, ..) => Ok(String::new()),
        (Kind::Namespaced, Some(own), Some(asked)) if own != asked => Err(Fault::new(
            "metadata.namespace",
            format!(
                "is {}, and the parameter `namespace` says {}",
                shown(own),
                shown(asked)
            ),
        )),
        (Kind::Namespaced, own, asked) => Ok(own.or(asked).unwrap_or("default").to_owned()),
    }
}

/// What Argo itself would refuse of the template. What callers give is not known yet: an argument without a value is none of its faults,
/// nor one that a template which nests it may declare.
fn unfit(template: &Template, manifest: &Value) -> Vec<Fault> {
    if template.spec.metrics.is_empty() && !template.spec.templates.is_empty() {
        return template.faults().to_vec();
    }
    let mut alone = template.clone();
    alone.spec.templates.clear();
    let mut used = BTreeSet::new();
    placeholders(&manifest["spec"]["metrics"], &mut used);
    for name in used {
        if alone.spec.args.iter().all(|it| it.name != name) {
            alone.spec.args.push(Argument {
                name,
                ..Argument::default()
            });
        }
    }
    let left_to_callers: BTreeSet<String> = alone
        .spec
        .args
        .iter()
        .filter(|it| it.value.is_none())
        .map(|it| match it.at.as_str() {
            "" => format!("args.{}", shown(&it.name).trim_matches('`')),
            at => at.to_owned(),
        })
        .collect();

    let request = Request {
        namespace: template.namespace.clone().unwrap_or_default(),
        templates: vec![TemplateRef::new(template.kind, &template.name)],
        ..Request::default()
    };
    let mut library = Library::default();
    library.insert(alone);
    let checked = Analysis::assemble(&library, &request).check(Context::Free);
    let mut faults = checked.err().map(Faults::into_vec).unwrap_or_default();
    faults.retain(|fault| !left_to_callers.contains(&fault.path));
    faults
}

/// The arguments that are placed anywhere in `value`.
fn placeholders(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            for piece in pieces(text).unwrap_or_default() {
                if let Piece::Placeholder { name, .. } = piece {
                    used.insert(name.to_owned());
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| placeholders(item, used)),
        Value::Object(fields) => fields.values().for_each(|field| placeholders(field, used)),
    }
}

/// Leaves out of a manifest what is a cluster's to say, and credentials in its addresses; says its namespace. Whether there were credentials.
fn tidy(manifest: &mut Value, namespace: &str) -> bool {
    if let Some(metadata) = manifest["metadata"].as_object_mut() {
        for field in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
            "selfLink",
        ] {
            metadata.remove(field);
        }
        metadata.remove("namespace");
        if !namespace.is_empty() {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
    }
    without_credentials(&mut manifest["spec"])
}

/// Leaves credentials out of the addresses in an analysis' spec, or in a request that has one, and says whether there were any: it is kept in a file, and what a service
/// sends to an OAP is its operator's to say.
pub(super) fn without_credentials(spec: &mut Value) -> bool {
    static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("^([^/?#]*://)[^/?#]*@").expect("a constant that its test compiles")
    });
    let mut found = false;
    for (list, place) in [
        ("metrics", "/provider/skywalking/address"),
        // An address may be made of them.
        ("args", "/value"),
    ] {
        let items = spec.get_mut(list).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            if let Some(Value::String(text)) = item.pointer_mut(place)
                && CREDENTIALS.is_match(text)
            {
                *text = CREDENTIALS.replace(text, "$1").into_owned();
                found = true;
            }
        }
    }
    if let Some(inline) = spec.get_mut("spec") {
        found |= without_credentials(inline);
    }
    found
}

fn key_of(kind: Kind, namespace: &str, name: &str) -> RecordKey {
    match kind {
        Kind::Namespaced => RecordKey::new(RecordKind::Template, namespace, name),
        Kind::Cluster => RecordKey::new(RecordKind::ClusterTemplate, "", name),
    }
}

/// The AnalysisTemplates, by namespace and name.
#[utoipa::path(
    get,
    path = "/api/v1/templates",
    tag = "templates",
    operation_id = "listTemplates",
    params(
        ("namespace" = Option<String>, Query, description = "Only those of this namespace"),
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 500, 100 by default", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of templates", body = TemplatePage),
    )
)]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri)?;
    let namespace = parameters.text("namespace");
    page(&app, Kind::Namespaced, namespace, parameters).await
}

/// The ClusterAnalysisTemplates, by name.
#[utoipa::path(
    get,
    path = "/api/v1/clustertemplates",
    tag = "templates",
    operation_id = "listClusterTemplates",
    params(
        ("limit" = Option<u32>, Query, description = "How many rows a page has: 1 to 500, 100 by default", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next` of the page before it")
    ),
    responses(
        (status = 200, description = "A page of templates", body = TemplatePage),
    )
)]
pub(super) async fn list_cluster(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    page(&app, Kind::Cluster, None, Parameters::of(&uri)?).await
}

async fn page(
    app: &App,
    kind: Kind,
    namespace: Option<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let limit = parameters.number("limit", 1..=LONGEST_PAGE).unwrap_or(PAGE);
    let after = cursor(&mut parameters);
    let after = parameters.done(after)?;
    let after = after.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
    // One more says whether there is another page.
    let records = app
        .ports
        .records
        .records(
            key_of(kind, "", "").kind,
            namespace.as_deref(),
            after,
            limit + 1,
        )
        .await?;
    let last = records.get(limit - 1).filter(|_| records.len() > limit);
    let page = TemplatePage {
        next: last.map(|last| {
            let place = format!("{}/{}", last.key.namespace, last.key.name);
            URL_SAFE_NO_PAD.encode(place)
        }),
        items: records
            .iter()
            .take(limit)
            .map(|record| TemplateRow::new(kind, record))
            .collect(),
    };
    Ok(Written::of(&page).answer(StatusCode::OK))
}

/// The namespace and the name that a page comes after.
pub(super) fn cursor(parameters: &mut Parameters) -> Option<(String, String)> {
    parameters.cursor(|text| {
        let place = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (namespace, name) = place.split_once('/')?;
        Some((namespace.to_owned(), name.to_owned()))
    })
}

impl TemplateRow {
    fn new(kind: Kind, record: &Record) -> Self {
        let spec = Template::read(kind, &record.body).spec;
        let joined = |names: Vec<&str>| names.join(",");
        Self {
            kind: kind.name(),
            namespace: record.key.namespace.clone(),
            name: record.key.name.clone(),
            metrics: joined(spec.metrics.iter().map(|it| it.name.as_str()).collect()),
            args: joined(spec.args.iter().map(|it| it.name.as_str()).collect()),
            changed_at: crate::wire::time(record.changed_at),
        }
    }
}

/// An AnalysisTemplate, as its manifest says it.
#[utoipa::path(
    get,
    path = "/api/v1/templates/{namespace}/{name}",
    tag = "templates",
    operation_id = "getTemplate",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of what the caller has seen")
    ),
    responses(
        (status = 200, description = "Its manifest", body = Object, headers(("etag" = String))),
        (status = 304, description = "It is as the caller has seen it"),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Named { namespace, name }: Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&app, &key_of(Kind::Namespaced, &namespace, &name), &headers).await
}

/// A ClusterAnalysisTemplate, as its manifest says it.
#[utoipa::path(
    get,
    path = "/api/v1/clustertemplates/{name}",
    tag = "templates",
    operation_id = "getClusterTemplate",
    params(
        ("name" = String, Path, description = "Its name"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of what the caller has seen")
    ),
    responses(
        (status = 200, description = "Its manifest", body = Object, headers(("etag" = String))),
        (status = 304, description = "It is as the caller has seen it"),
    )
)]
pub(super) async fn get_cluster(
    State(app): State<Arc<App>>,
    Name(name): Name,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&app, &key_of(Kind::Cluster, "", &name), &headers).await
}

async fn show(app: &App, key: &RecordKey, headers: &HeaderMap) -> Result<Response, Problem> {
    let record = app.ports.records.read(key).await?;
    let record = record.ok_or_else(|| no_template(key))?;
    Ok(Written::of(&record.body).unless_known(headers))
}

/// Deletes an AnalysisTemplate. Runs of it go on: they have what it said.
#[utoipa::path(
    delete,
    path = "/api/v1/templates/{namespace}/{name}",
    tag = "templates",
    operation_id = "deleteTemplate",
    params(
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name")
    ),
    responses(
        (status = 204, description = "It is gone"),
    )
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Named { namespace, name }: Named,
) -> Result<StatusCode, Problem> {
    remove(&app, key_of(Kind::Namespaced, &namespace, &name)).await
}

/// Deletes a ClusterAnalysisTemplate. Runs of it go on: they have what it said.
#[utoipa::path(
    delete,
    path = "/api/v1/clustertemplates/{name}",
    tag = "templates",
    operation_id = "deleteClusterTemplate",
    params(
        ("name" = String, Path, description = "Its name")
    ),
    responses(
        (status = 204, description = "It is gone"),
    )
)]
pub(super) async fn delete_cluster(
    State(app): State<Arc<App>>,
    Name(name): Name,
) -> Result<StatusCode, Problem> {
    remove(&app, key_of(Kind::Cluster, "", &name)).await
}

async fn remove(app: &App, key: RecordKey) -> Result<StatusCode, Problem> {
    if app.ports.records.read(&key).await?.is_none() {
        return Err(no_template(&key));
    }
    let change = Change {
        key,
        expected: Expected::Anything,
        to: To::Gone,
    };
    let now = app.ports.clock.now();
    app.ports.records.change(&[change], now).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_template(key: &RecordKey) -> Problem {
    let (kind, name) = match key.kind {
        RecordKind::ClusterTemplate => (Kind::Cluster, key.name.clone()),
        _ => (Kind::Namespaced, format!("{}/{}", key.namespace, key.name)),
    };
    Problem::new(
        Problems::NotFound,
        format!("no {} {}", kind.name(), shown(&name)),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(address: &str, expected: &str) {
        let metric = json!({"provider": {"skywalking": {"address": address}}});
        let argument = json!({"name": "oap", "value": address});
        for (mut spec, place) in [
            (
                json!({"metrics": [metric, {}]}),
                "/metrics/0/provider/skywalking/address",
            ),
            (
                json!({"args": [{"name": "none"}, argument]}),
                "/args/1/value",
            ),
        ] {
            let found = without_credentials(&mut spec);
            assert_eq!(spec.pointer(place), Some(&json!(expected)));
            assert_eq!(found, address != expected);
        }
    }

    #[test]
    fn credentials_are_not_kept() {
        check("http://oap:12800", "http://oap:12800");
        check("http://jane:s3cret@oap:12800/x@y", "http://oap:12800/x@y");
        check("http://jane:s3@ret@oap", "http://oap");
        check("http://{{args.u}}:{{ args.p }}@oap/x", "http://oap/x");
        check("http://oap/@", "http://oap/@");
    }
}
