//! What a call says, and what is said of one that says nothing sensible.

use std::collections::BTreeMap;

use skygate::domain::flagger::{Call, CallError, Hook, TemplateName, Token};

const BODY: &str = r#"{"name":"reviews","namespace":"bookinfo","phase":"Progressing","checksum":"758df7c9fc",
    "metadata":{"template":"apdex","args.service-name":"x","unrelated":"y"}}"#;

fn read(hook: Hook, body: &str, query: &[(&str, &str)]) -> Result<Call, CallError> {
    let query: Vec<(String, String)> = query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Call::read(hook, body.as_bytes(), &query)
}

fn template(namespace: &str, name: &str) -> TemplateName {
    TemplateName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        cluster_scope: false,
    }
}

#[test]
fn hooks_have_flaggers_names() {
    for hook in Hook::ALL {
        assert_eq!(Hook::named(hook.name()), Some(hook));
    }
    assert_eq!(
        Hook::named("confirm-traffic-increase"),
        Some(Hook::ConfirmTrafficIncrease)
    );
    assert_eq!(Hook::named("Rollout"), None);
}

#[test]
fn metadata_names_the_template_and_its_arguments() {
    let call = read(Hook::Rollout, BODY, &[]).expect("a call");
    assert_eq!(
        (call.namespace.as_str(), call.canary.as_str()),
        ("bookinfo", "reviews")
    );
    assert_eq!(
        (call.phase.as_str(), call.checksum.as_str()),
        ("Progressing", "758df7c9fc")
    );
    assert_eq!(call.template, Some(template("bookinfo", "apdex")));
    let args = BTreeMap::from([("service-name".to_owned(), "x".to_owned())]);
    assert_eq!(call.args, args);
    assert_eq!(call.token, None);
    assert_eq!(
        call.record_name().as_deref(),
        Some("reviews/bookinfo/apdex")
    );
}

#[test]
fn the_url_may_say_what_the_metadata_does_not() {
    let body = r#"{"name":"reviews","namespace":"bookinfo","phase":"","checksum":"a","metadata":{"args.a":"body"}}"#;
    let query = [
        ("template", "apdex"),
        ("namespace", "shared"),
        ("args.a", "url"),
        ("args.b", "url"),
        ("token", "hunter2"),
    ];
    let call = read(Hook::PreRollout, body, &query).expect("a call");
    assert_eq!(call.template, Some(template("shared", "apdex")));
    assert_eq!(call.args["a"], "body");
    assert_eq!(call.args["b"], "url");
    assert_eq!(call.token.as_ref().map(Token::expose), Some("hunter2"));
    assert!(!format!("{call:?}").contains("hunter2"), "{call:?}");
    assert_eq!(call.record_name().as_deref(), Some("reviews/shared/apdex"));
    let cluster = [("template", "apdex"), ("clusterScope", "true")];
    let call = read(Hook::PreRollout, body, &cluster).expect("a call");
    assert_eq!(
        call.record_name().as_deref(),
        Some("reviews/clustertemplates/apdex")
    );
}

#[test]
fn phases_that_nobody_knows_are_as_good_as_others() {
    let body = BODY.replace("Progressing", "WaitingTrafficIncrease");
    let call = read(Hook::Rollout, &body, &[]).expect("a call");
    assert_eq!(call.phase, "WaitingTrafficIncrease");
    let bare = r#"{"name":"a","namespace":"b","another":1,"metadata":null}"#;
    let call = read(Hook::Rollout, bare, &[("template", "t")]).expect("a call");
    assert_eq!((call.phase.as_str(), call.checksum.as_str()), ("", ""));
}

#[test]
fn only_an_event_may_be_without_a_template() {
    let body = r#"{"name":"reviews","namespace":"bookinfo","phase":"Failed","checksum":"a","metadata":
        {"eventMessage":"Canary failed! Scaling down reviews.bookinfo","eventType":"Warning","timestamp":"1795428856931"}}"#;
    for hook in Hook::ALL {
        match read(hook, body, &[]) {
            Ok(call) => {
                assert_eq!(hook, Hook::Event);
                assert_eq!(call.record_name(), None);
                let sent = call.sent_at.map(jiff::Timestamp::as_millisecond);
                assert_eq!(sent, Some(1_795_428_856_931));
                assert_eq!(
                    call.message.as_deref(),
                    Some("Canary failed! Scaling down reviews.bookinfo")
                );
            }
            Err(error) => assert_eq!(error, CallError::NoTemplate, "{hook}"),
        }
    }
}

#[test]
fn what_is_no_call_is_told_what_is_wrong() {
    let check = |body: &str, query: &[(&str, &str)], expected: &str| {
        let error = read(Hook::Rollout, body, query).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("", &[], "the body is not what Flagger sends: EOF");
    check("[]", &[], "the body is not what Flagger sends");
    check("{\"name\":\"a\"}", &[], "missing field `namespace`");
    check(
        &BODY.replace("\"x\"", "5"),
        &[],
        "invalid type: integer `5`",
    );
    check(
        &BODY.replace("reviews", ""),
        &[],
        "name is ``; a name of Kubernetes was expected",
    );
    check(&BODY.replace("bookinfo", "a/b"), &[], "namespace is `a/b`");
    check(
        &BODY.replace("apdex", "a b"),
        &[],
        "metadata.template is `a b`",
    );
    check(
        &BODY.replace("reviews", &"a".repeat(300)),
        &[],
        "name is `aaa",
    );
    check(&BODY.replace("758df7c9fc", "a\\nb"), &[], "checksum is ");
    check(
        BODY,
        &[("clusterScope", "yes")],
        "metadata.clusterScope is `yes`; `true` or `false`",
    );
    check(
        &BODY.replace("template", "templates"),
        &[],
        "no template: name one in the hook's metadata",
    );
}
