//! `POST /flagger/{hook}`: Flagger's own contract. What is answered is decided in the core; this does what the decision says.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::App;
use super::access::{Caller, Scope, bearer};
use super::extract::{Name, Unread, pairs};
use super::problem::{Kind, Problem};
use super::runs::{prepare, until};
use crate::domain::analysis::SUPPLY_BY_FLAG;
use crate::domain::fault::{Fault, shown};
use crate::domain::flagger::{
    Answer, Call, Decision, Effect, Hook, Record, RunView, Start, TemplateName, Token, decide,
    refuse,
};
use crate::domain::plan::{MetricPlan, Plan};
use crate::domain::run::{Command, Run, RunId};
use crate::domain::spec::RunBody;
use crate::engine::Watched;
use crate::ports::{
    Change, Expected, Moment, Record as Kept, RecordKey, RecordKind, StoreError, To,
};

/// Flagger gives up after ten seconds unless it is told otherwise.
const WITHIN: Duration = Duration::from_secs(8);

/// For how long an OAP is waited for where the question is whether it answers.
const OAP_WITHIN: Duration = Duration::from_secs(7);

/// So many records of a canary are read at a time.
const RECORDS_AT_A_TIME: usize = 100;

/// Answers one of Flagger's hooks: 200 for yes, 403 and a line of text for no.
///
/// The template, its arguments, their namespace and a token are in the hook's `metadata` (`template`, `args.NAME`, `namespace`, `token`) or in the query of its URL.
#[utoipa::path(
    post,
    path = "/flagger/{hook}",
    tag = "flagger",
    operation_id = "answerFlagger",
    params(
        ("hook" = String, Path, description = "`confirm-rollout`, `pre-rollout`, `rollout`, `confirm-traffic-increase`, `confirm-promotion`, `post-rollout`, `rollback` or `event`")
    ),
    request_body(description = "What Flagger sends: `name`, `namespace`, `phase`, `checksum` and `metadata`", content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "Yes, and why; for `rollback`: it must go back", body = String, content_type = "text/plain"),
        (status = 400, description = "The call cannot be read", body = String, content_type = "text/plain"),
        (status = 401, description = "A token is needed", body = String, content_type = "text/plain"),
        (status = 403, description = "No, and why", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such hook", body = String, content_type = "text/plain"),
        (status = 503, description = "It cannot be said for now", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    hook: Result<Name, Problem>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Unread, Problem>,
) -> Response {
    let asked = async {
        let Name(hook) = hook?;
        let Unread(body) = body?;
        let query = pairs(&uri)?;
        let hook = Hook::named(&hook).ok_or_else(|| no_such_hook(&hook))?;
        let call = Call::read(hook, &body, &query)
            .map_err(|error| Problem::new(Kind::Malformed, error.to_string()))?;
        let token = call.token.as_ref().map(Token::expose);
        allowed(&app, token.or_else(|| bearer(&headers)))?;
        match timeout(WITHIN, settle(&app, hook, &call)).await {
            Ok(settled) => settled,
            // Whatever was done is harmless when it is done again.
            Err(_) => Err(Problem::new(
                Kind::Unavailable,
                format!("it took more than {WITHIN:?}; ask again"),
            )),
        }
    };
    match asked.await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::FORBIDDEN);
            plain(status, answer.text)
        }
        Err(problem) => told(problem),
    }
}

/// Who calls. Flagger sends no headers, so whoever has no token is told where its place is.
fn allowed(app: &App, token: Option<&str>) -> Result<Caller, Problem> {
    let caller = app.access.allows(token, Scope::Run);
    caller.map_err(|problem| match (token, problem.kind()) {
        (None, Kind::Unauthorized) => problem.saying(
            "a token of the scope `run` is needed: put `token: TOKEN` into the hook's metadata",
        ),
        _ => problem,
    })
}

fn no_such_hook(name: &str) -> Problem {
    let names: Vec<&str> = Hook::ALL.iter().map(|hook| hook.name()).collect();
    let detail = format!("no hook {}; there are {}", shown(name), names.join(", "));
    Problem::new(Kind::NotFound, detail)
}

/// Whether this is a place where Flagger may call.
pub(super) fn is_below(uri: &Uri) -> bool {
    uri.path() == "/flagger" || uri.path().starts_with("/flagger/")
}

/// A failure in Flagger's form. It tries again after a 429 and tells people nothing of it, so that becomes a plain no.
pub(super) fn told(problem: Problem) -> Response {
    let status = match problem.kind() {
        Kind::TooMany => StatusCode::FORBIDDEN,
        kind => kind.status(),
    };
    let line = problem.line();
    let mut response = problem.into_response();
    let (text, own) = (plain(status, line), response.headers_mut());
    own.insert(CONTENT_TYPE, PLAIN);
    *response.status_mut() = status;
    *response.body_mut() = text.into_body();
    response
}

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

fn plain(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, PLAIN)], text).into_response()
}

/// Decides on a call and does what the decision says.
async fn settle(app: &App, hook: Hook, call: &Call) -> Result<Answer, Problem> {
    if let Some(name) = call.record_name() {
        let key = RecordKey::new(RecordKind::FlaggerAttempt, &call.namespace, name);
        return settle_at(app, hook, call, &key).await;
    }
    // An event about no template is one about all that this canary is judged by.
    debug!(canary = %call.canary, phase = %call.phase, "an event of Flagger's: {}", call.message.as_deref().unwrap_or_default());
    for record in records_of(app, &call.namespace, &call.canary).await? {
        settle_at(app, hook, call, &record.key).await?;
    }
    let record = Record::default();
    Ok(decide(hook, call, record, None, fresh(), app.ports.clock.now()).answer)
}

/// The same about what is kept at `key`, as often as others were faster or the answer may change.
async fn settle_at(app: &App, hook: Hook, call: &Call, key: &RecordKey) -> Result<Answer, Problem> {
    let mut may_wait = true;
    let mut checked = None;
    loop {
        let (record, expected) = read(app, key).await?;
        let watched = match &record.attempt {
            Some(attempt) => app.engine.watch(&attempt.run).await?,
            None => None,
        };
        let (decision, run) =
            decided(app, hook, call, record, watched.as_ref(), &mut checked).await?;
        if let Some((run, command)) = &decision.ends {
            tell(app, run, *command).await?;
        }
        let waits = may_wait && decision.may_change && watched.is_some();
        let record = if waits {
            &decision.record.without_newest_call()
        } else {
            &decision.record
        };
        match save(app, key, expected, record).await {
            Ok(()) => {}
            Err(StoreError::Changed { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(run) = run {
            start(app, &run).await?;
        }
        for effect in &decision.effects {
            match effect {
                Effect::Tell(run, command) => tell(app, run, *command).await?,
                // It was checked before anything was saved, and the run has just been started.
                Effect::Check | Effect::Start(_) => {}
            }
        }
        if !decision.ignored.is_empty() {
            let ignored = decision.ignored.join(", ");
            warn!(canary = %call.canary, %hook, ignored, "canary {}/{}: {hook} came with other arguments than those that its attempt was begun with: {ignored}", call.namespace, call.canary);
        }
        match watched {
            Some(mut watched) if waits => {
                let is_over = |run: &Run| run.phase.is_over();
                may_wait = until(app, &mut watched, is_over).await && is_over(watched.run());
            }
            Some(_) | None => return Ok(decision.answer),
        }
    }
}

fn fresh() -> RunId {
    RunId(uuid::Uuid::new_v4().to_string())
}

/// What a call's template and its OAP were found to be: in order, or not, and why.
type Checked = Result<(), String>;

/// What is decided, and the run that it starts; a refusal where what it needs isn't valid. That takes what time a call has, so what was
/// `checked` once holds for all of it.
async fn decided(
    app: &App,
    hook: Hook,
    call: &Call,
    record: Record,
    watched: Option<&Watched>,
    checked: &mut Option<Checked>,
) -> Result<(Decision, Option<Run>), Problem> {
    let view = watched.map(|watched| RunView::of(watched.run()));
    let now = app.ports.clock.now();
    let decision = decide(hook, call, record.clone(), view.as_ref(), fresh(), now);
    let mut run = None;
    for effect in &decision.effects {
        let wrong = match effect {
            Effect::Check => {
                if checked.is_none() {
                    *checked = Some(valid(check(app, call).await)?);
                }
                checked.clone().and_then(Result::err)
            }
            Effect::Start(start) => match valid(planned(app, call, start).await)? {
                Ok(planned) => {
                    run = Some(planned);
                    None
                }
                Err(why) => Some(why),
            },
            Effect::Tell(..) => None,
        };
        if let Some(why) = wrong {
            return Ok((refuse(hook, call, record, &why, now), None));
        }
    }
    Ok((decision, run))
}

/// What was found, or the line that says what the caller is to mend; whatever else went wrong goes on as it is.
fn valid<T>(found: Result<T, Problem>) -> Result<Result<T, String>, Problem> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(problem) if problem.kind().status().is_client_error() => Ok(Err(problem.line())),
        Err(problem) => Err(problem),
    }
}

/// All that is kept of a canary: a record for each template that it is judged by.
pub(super) async fn records_of(
    app: &App,
    namespace: &str,
    canary: &str,
) -> Result<Vec<Kept>, StoreError> {
    let prefix = format!("{canary}/");
    let mut found: Vec<Kept> = Vec::new();
    loop {
        let after = found.last().map_or(&prefix, |record| &record.key.name);
        let records = app.ports.records.records(
            RecordKind::FlaggerAttempt,
            Some(namespace),
            Some((namespace, after)),
            RECORDS_AT_A_TIME,
        );
        let before = found.len();
        let page = records.await?.into_iter();
        found.extend(page.take_while(|record| record.key.name.starts_with(&prefix)));
        if found.len() - before < RECORDS_AT_A_TIME {
            return Ok(found);
        }
    }
}

async fn read(app: &App, key: &RecordKey) -> Result<(Record, Expected), Problem> {
    let Some(kept) = app.ports.records.read(key).await? else {
        return Ok((Record::default(), Expected::Absent));
    };
    let record = Record::from_json(&kept.body).map_err(Problem::internal)?;
    Ok((record, Expected::Version(kept.version)))
}

async fn save(
    app: &App,
    key: &RecordKey,
    expected: Expected,
    record: &Record,
) -> Result<(), StoreError> {
    let change = Change {
        key: key.clone(),
        expected,
        to: To::Body(record.to_json()),
    };
    let now = app.ports.clock.now();
    app.ports.records.change(&[change], now).await.map(drop)
}

/// Starts a run, unless it is there already.
async fn start(app: &App, run: &Run) -> Result<(), Problem> {
    match app.engine.start(run).await {
        Ok(()) | Err(StoreError::Exists(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tells a run something, unless it is gone.
pub(super) async fn tell(app: &App, run: &RunId, command: Command) -> Result<(), Problem> {
    match app.engine.post(run, command).await {
        Ok(()) | Err(StoreError::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The run that `start` asks for, not started yet.
async fn planned(app: &App, call: &Call, start: &Start) -> Result<Run, Problem> {
    app.refuse_too_many().await?;
    let mut body = asked_for(call);
    body["name"] = json!(start.name);
    body["labels"] = json!(start.labels);
    body["notBefore"] = json!(start.not_before.to_string());
    let run = prepare(app, RunBody::read(&body)).await;
    let mut run = run.map_err(|problem| problem.rewording(|fault| in_metadata(call, fault)))?;
    run.id = start.run.clone();
    Ok(run)
}

/// The same that somebody would send to `/api/v1/runs`.
fn asked_for(call: &Call) -> Value {
    let template = call.template.as_ref();
    let reference = |template: &TemplateName| json!({ "templateName": template.name, "clusterScope": template.cluster_scope });
    let args = call
        .args
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    json!({
        "namespace": template.map_or(&call.namespace, |template| &template.namespace),
        "templates": template.map(reference).into_iter().collect::<Vec<_>>(),
        "args": args.collect::<Vec<_>>(),
    })
}

/// Whether the template and its arguments are valid and every OAP that counts answers what it will be asked.
async fn check(app: &App, call: &Call) -> Result<(), Problem> {
    let deadline = Instant::now() + OAP_WITHIN;
    let run = prepare(app, RunBody::read(&asked_for(call))).await;
    let run = run.map_err(|problem| problem.rewording(|fault| in_metadata(call, fault)))?;
    let wrong = unanswered(app, &run.plan, deadline).await;
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Kind::Conflict, wrong.join("; ")))
}

/// `fault` with the place and the way out that a Canary has: there is no other body, and no command line.
fn in_metadata(call: &Call, mut fault: Fault) -> Fault {
    if fault.path.starts_with("templates[") {
        "metadata.template".clone_into(&mut fault.path);
    } else if let Some((index, _)) = fault
        .path
        .strip_prefix("args[")
        .and_then(|rest| rest.split_once(']'))
        && let Some(name) = index.parse().ok().and_then(|it| call.args.keys().nth(it))
    {
        fault.path = format!("metadata.args.{name}");
    }
    if let Some(hint) = &fault.hint
        && let Some(argument) = hint.strip_prefix(SUPPLY_BY_FLAG)
    {
        let name = argument.split('=').next().unwrap_or_default();
        fault.hint = Some(format!("put `args.{name}: VALUE` into the hook's metadata"));
    }
    fault
}

/// Why the metrics that count cannot be measured.
async fn unanswered(app: &App, plan: &Plan, deadline: Instant) -> Vec<String> {
    let counting = plan.metrics.iter().filter(|metric| !metric.dry_run);
    let Ok(turn) = timeout_at(deadline, app.measuring.acquire()).await else {
        return vec![format!(
            "too many measurements are asked for at a time: there was no turn within {OAP_WITHIN:?}"
        )];
    };
    let reading = counting.map(async |metric| {
        let why = unread(app, plan, metric, deadline).await?;
        Some(format!("metric \"{}\": {why}", metric.name))
    });
    let read = join_all(reading).await;
    drop(turn);
    read.into_iter().flatten().collect()
}

/// Why a metric cannot be measured. An OAP that is asked again and again has said why already.
async fn unread(app: &App, plan: &Plan, metric: &MetricPlan, deadline: Instant) -> Option<String> {
    let reading = app.planner.source.read(&metric.source, Moment::default());
    if let Ok(reading) = timeout_at(deadline, reading).await {
        let error = reading.answer.err()?;
        return Some(error.shown(&plan.masker));
    }
    let trouble = app.planner.source.trouble(&metric.source);
    Some(match trouble {
        Some(trouble) => format!(
            "{}; it was asked again for {OAP_WITHIN:?}",
            trouble.shown(&plan.masker)
        ),
        None => format!("the OAP did not answer within {OAP_WITHIN:?}"),
    })
}
