//! What a metric reads: whom to ask, what, and for which time.

use std::time::Duration;

use super::super::args::Arguments;
use super::super::duration::short;
use super::super::query::{Query, ranks_entities};
use super::super::spec::SkyWalkingSpec;
use super::super::window::{MAX_BUCKETS, Step, WindowSpec};
use super::make::given;
use super::strict::Strict;
use super::{Ask, Entity, Gaps, Overrides, Server, SourcePlan, address, entity, expression};

/// Plans a `provider.skywalking`: `written` for what has rules of its own for arguments, `rendered` for the rest.
pub(super) fn plan(
    written: &SkyWalkingSpec,
    rendered: &SkyWalkingSpec,
    args: &Arguments,
    overrides: &Overrides,
    s: &mut Strict<'_>,
) -> Option<SourcePlan> {
    let server = server(written, rendered, args, overrides, s);
    let ask = ask(written, rendered, args, s);
    let holds_secret = ask.as_ref().is_some_and(|ask| {
        let question = match ask {
            Ask::Query(query) => query.text(),
            Ask::Expression { expression, .. } => expression,
        };
        let mut entity = rendered.entity.iter().flat_map(|entity| entity.values());
        s.holds_secret(question) || entity.any(|value| s.holds_secret(value))
    });
    let window = window(written, rendered, s);
    let gaps = s.word(
        "gaps",
        rendered.gaps.as_deref(),
        Gaps::default(),
        &[("skip", Gaps::Skip), ("zero", Gaps::Zero)],
    );
    Some(SourcePlan {
        server: server?,
        ask: ask?,
        window: window?,
        gaps: gaps?,
        holds_secret,
    })
}

fn server(
    written: &SkyWalkingSpec,
    rendered: &SkyWalkingSpec,
    args: &Arguments,
    overrides: &Overrides,
    s: &mut Strict<'_>,
) -> Option<Server> {
    let own = match (given(written.address.as_ref()), given(written.oap.as_ref())) {
        (Some(_), Some(_)) => {
            s.fault("", "`address` and `oap` both name a server: keep one");
            return None;
        }
        (Some(template), None) => {
            // Whatever can't be rendered has been said.
            rendered.address.as_deref()?;
            let text = address::render(template, args)
                .map_err(|faults| s.add("address", faults))
                .ok()?;
            Some(address(&text, s)?)
        }
        (None, Some(_)) => Some(Server::Named(rendered.oap.clone()?)),
        (None, None) => None,
    };
    let server = overrides.server.clone().or(own);
    if server.is_none() {
        s.fault_with_hint(
            "address",
            "missing: whom to ask",
            "give the OAP's URL here, `oap: NAME`, or the flag --oap",
        );
    }
    server
}

/// The OAP's URL, as Argo takes it: without the `/graphql`, which may be there all the same.
fn address(text: &str, s: &mut Strict<'_>) -> Option<Server> {
    let text = text.trim();
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    let is_url = host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
        && !text
            .contains(|c: char| c.is_whitespace() || c.is_control() || "?#\"<>\\^`{|}".contains(c));
    if !is_url {
        let shown = s.shown(text);
        s.fault_with_hint(
            "address",
            format!("expected the URL of an OAP, found {shown}"),
            "for example http://oap.istio-system:12800",
        );
        return None;
    }
    let text = text.trim_end_matches('/');
    let text = text.strip_suffix("/graphql").unwrap_or(text);
    Some(Server::Address(text.trim_end_matches('/').to_owned()))
}

fn ask(
    written: &SkyWalkingSpec,
    rendered: &SkyWalkingSpec,
    args: &Arguments,
    s: &mut Strict<'_>,
) -> Option<Ask> {
    if written.queries.is_some() {
        s.fault("queries", "named queries are not supported yet");
        return None;
    }
    let query = given(written.query.as_ref());
    let expression = given(written.expression.as_ref());
    match (query, expression) {
        (Some(_), Some(_)) => {
            s.fault(
                "",
                "`query` and `expression` both say what to ask: keep one",
            );
            None
        }
        (None, None) => {
            s.fault_with_hint(
                "query",
                "missing: what to ask",
                "give a GraphQL `query`, or an MQE `expression` with its `entity`",
            );
            None
        }
        (Some(query), None) => {
            if written.entity.is_some() {
                s.fault(
                    "entity",
                    "belongs to an `expression`; a `query` names its own",
                );
            }
            if args.leaves_unresolved(query) {
                return None;
            }
            self::query(query, args, s).map(Ask::Query)
        }
        (None, Some(template)) => {
            let expression = expression::render(template, args)
                .map_err(|faults| s.add("expression", faults))
                .ok();
            let is_ranking = expression.as_deref().is_some_and(ranks_entities);
            let entity = whom(written, rendered, is_ranking, s);
            Some(Ask::Expression {
                expression: expression?,
                entity: entity?,
            })
        }
    }
}

fn query(template: &str, args: &Arguments, s: &mut Strict<'_>) -> Option<Query> {
    let text = Query::rendered(template, args)
        .map_err(|faults| s.add("query", faults))
        .ok()?;
    let holds_secret = s.holds_secret(&text);
    match Query::parse(text) {
        Ok(query) => return Some(query),
        Err(_) if holds_secret => s.fault_with_hint(
            "query",
            "not a query that can be sent; why is kept back, for it holds a secret",
            "validate it with an argument that is no secret in its place",
        ),
        Err(faults) => s.add("query", faults),
    }
    None
}

fn whom(
    written: &SkyWalkingSpec,
    rendered: &SkyWalkingSpec,
    is_ranking: bool,
    s: &mut Strict<'_>,
) -> Option<Entity> {
    if let (Some(written), Some(rendered)) = (&written.entity, &rendered.entity) {
        return entity::plan(written, rendered, is_ranking, &mut s.part("entity"));
    }
    s.fault_with_hint(
        "entity",
        "missing: whom the expression is about",
        "for a service: `entity: { scope: Service, serviceName: NAME, normal: true }`",
    );
    None
}

fn window(
    written: &SkyWalkingSpec,
    rendered: &SkyWalkingSpec,
    s: &mut Strict<'_>,
) -> Option<WindowSpec> {
    let step = step(rendered.step.as_deref(), s);
    let settle = given(rendered.settle.as_ref()).map(|text| s.duration("settle", text));
    let interval = match (
        given(written.interval.as_ref()),
        given(rendered.interval.as_ref()),
    ) {
        (Some(_), Some(text)) => s.positive("interval", text),
        // It could not be rendered, which has been said.
        (Some(_), None) if rendered.interval.is_none() => None,
        (_, _) => {
            s.fault_with_hint(
                "interval",
                "missing: how much time a measurement looks at",
                "for example 3m: the three newest settled minutes",
            );
            None
        }
    };

    let step = step?;
    let window = WindowSpec {
        interval: interval?,
        step,
        settle: match settle {
            Some(settle) => settle?,
            None => step.default_settle(),
        },
    };
    let buckets = window.buckets();
    if buckets > MAX_BUCKETS {
        s.fault(
            "interval",
            format!(
                "{} is {buckets} buckets of {}; an OAP answers for {MAX_BUCKETS} at most: the longest interval is {}",
                short(window.interval),
                short(step.width()),
                short(longest_interval(&window)),
            ),
        );
        return None;
    }
    Some(window)
}

/// The longest interval that still fits into what an OAP answers for.
fn longest_interval(window: &WindowSpec) -> Duration {
    let most = if window.settle.is_zero() {
        MAX_BUCKETS - 1
    } else {
        MAX_BUCKETS
    };
    window
        .step
        .width()
        .saturating_mul(u32::try_from(most).unwrap_or(u32::MAX))
}

fn step(text: Option<&str>, s: &mut Strict<'_>) -> Option<Step> {
    if text == Some("SECOND") {
        s.fault_with_hint(
            "step",
            "`SECOND` is refused: an OAP keeps no metrics by the second, every bucket would be empty",
            "`MINUTE` is the finest",
        );
        return None;
    }
    s.word(
        "step",
        text,
        Step::default(),
        &[
            ("MINUTE", Step::Minute),
            ("HOUR", Step::Hour),
            ("DAY", Step::Day),
        ],
    )
}
