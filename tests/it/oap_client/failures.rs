//! Every way in which an OAP gives no answer, and what a person reads then.

use std::time::Duration;

use serde_json::{Value, json};
use skygate::domain::reading::ErrorClass;
use skygate::oap::{Auth, Directory, Finding, Oap, Options, Secret};
use skygate::ports::{MetricSource, Moment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::stub::{
    CANARY, HandClock, Reply, Stub, address, client, client_of, client_on, expression, failure,
    query, read_seed, seed,
};

/// Reads the seed's query from a modern server that answers it with `reply`.
async fn check(reply: Reply, class: ErrorClass, expected: &str) {
    let stub = Stub::modern(move |seen| (seen.operation() == "").then(|| reply.clone())).await;
    let reading = read_seed(&client(Options::default()), &stub.url).await;
    assert_eq!(failure(&reading), (class, expected.to_owned()));
    assert!(reading.window.is_some() && reading.time.is_some());
}

fn text(status: u16, body: &str) -> Reply {
    Reply::Other(status, "text/plain", body.to_owned())
}

fn errors(message: &str, classification: &str) -> Reply {
    Reply::Json(
        json!({"errors": [{"message": message, "extensions": {"classification": classification}}], "data": null}),
    )
}

#[tokio::test]
async fn statuses() {
    check(
        text(401, "missing token"),
        ErrorClass::Refused,
        "`OAP/graphql` answered 401 Unauthorized: `missing token`; an OAP asks nobody for credentials, so a gateway in front of it does: give basic or bearer credentials that it accepts",
    )
    .await;
    check(
        Reply::Other(403, "text/html", "<html>no".into()),
        ErrorClass::Refused,
        "`OAP/graphql` answered 403 Forbidden; an OAP asks nobody for credentials, so a gateway in front of it does: give basic or bearer credentials that it accepts",
    )
    .await;
    check(
        Reply::Other(404, "text/plain; charset=utf-8", "Status: 404\nDescription: Not Found\n".into()),
        ErrorClass::Malformed,
        "`OAP/graphql` answered 404 Not Found: `Status: 404 Description: Not Found`; no OAP listens there: `address` is the URL before `/graphql`, with the context path where the OAP has one",
    )
    .await;
    check(
        Reply::Other(405, "text/plain; charset=utf-8", "Status: 405\nDescription: Method Not Allowed\n".into()),
        ErrorClass::Malformed,
        "`OAP/graphql` answered 405 Method Not Allowed: `Status: 405 Description: Method Not Allowed`; something else than an OAP listens there, for an OAP takes POST",
    )
    .await;
    check(
        text(415, "Unsupported media type. Only JSON compatible types and application/graphql are supported."),
        ErrorClass::Malformed,
        "`OAP/graphql` answered 415 Unsupported Media Type: `Unsupported media type. Only JSON compatible types and application/graphql are supported.`; an OAP says so of a body that isn't GraphQL's JSON, a gateway of whatever it dislikes",
    )
    .await;
    check(
        text(400, "Failed to parse a JSON document: {\"query\": "),
        ErrorClass::Malformed,
        "`OAP/graphql` answered 400 Bad Request: `Failed to parse a JSON document: {\"query\":`; an OAP says so of a body that isn't GraphQL's JSON, a gateway of whatever it dislikes",
    )
    .await;
    check(
        text(429, ""),
        ErrorClass::Unreachable,
        "`OAP/graphql` answered 429 Too Many Requests; a gateway limits requests: lower the number of requests at a time, or measure less often",
    )
    .await;
    check(
        text(500, &"x".repeat(1_000)),
        ErrorClass::Malformed,
        &format!("`OAP/graphql` answered 500 Internal Server Error: `{}…`; the log of the OAP, or of the gateway in front of it, says why", "x".repeat(160)),
    )
    .await;
}

#[tokio::test]
async fn answers_that_are_none_of_graphql() {
    check(
        Reply::Other(200, "text/html; charset=utf-8", "<!doctype html><title>Sign in</title>".into()),
        ErrorClass::Malformed,
        "`OAP/graphql` answered a page where JSON of GraphQL was expected; a login page, perhaps: give credentials for the gateway in front of the OAP, or the OAP's own address (its UI has another port)",
    )
    .await;
    check(
        Reply::Other(200, "application/json", "{\"data\": {\"service_".into()),
        ErrorClass::Malformed,
        "`OAP/graphql` answered application/json: `{\"data\": {\"service_` where JSON of GraphQL was expected; it begins like an OAP's and cannot be read: something on the way may have cut or changed it",
    )
    .await;
    check(
        Reply::Json(json!({"status": "UP"})),
        ErrorClass::Malformed,
        "`OAP/graphql` answered application/json: `{\"status\":\"UP\"}` where JSON of GraphQL was expected; is that an OAP's HTTP port (12800)?",
    )
    .await;
    check(
        Reply::Other(200, "application/json", String::new()),
        ErrorClass::Malformed,
        "`OAP/graphql` answered nothing where JSON of GraphQL was expected; is that an OAP's HTTP port (12800)?",
    )
    .await;
    check(
        Reply::Other(200, "application/octet-stream", "\u{0}\u{1}".into()),
        ErrorClass::Malformed,
        "`OAP/graphql` answered application/octet-stream where JSON of GraphQL was expected; is that an OAP's HTTP port (12800)?",
    )
    .await;
    check(
        Reply::Json(json!({"data": null})),
        ErrorClass::Malformed,
        "no results returned from SkyWalking query",
    )
    .await;
    check(
        Reply::Json(json!({"data": null, "errors": []})),
        ErrorClass::Malformed,
        "no results returned from SkyWalking query",
    )
    .await;
}

#[tokio::test]
async fn errors_of_graphql() {
    check(
        errors(
            "Invalid syntax with offending token '<EOF>' at line 1 column 9",
            "InvalidSyntax",
        ),
        ErrorClass::BadQuery,
        "the OAP refuses the query: Invalid syntax with offending token '<EOF>' at line 1 column 9",
    )
    .await;
    check(
        errors("Exception while fetching data (/service_apdex) : org.apache.skywalking.oap.server.core.UnexpectedException: Duration data error, the range between the start time and the end time can't exceed 500 minutes", "DataFetchingException"),
        ErrorClass::BadQuery,
        "the window doesn't suit the OAP: at most 500 steps may lie between its start and its end, and it says the same of a start after the end: Duration data error, the range between the start time and the end time can't exceed 500 minutes",
    )
    .await;
    check(
        errors("Exception while fetching data (/service_apdex) : org.postgresql.util.PSQLException: Bad value for type long : {p=50},100|{p=95},140", "DataFetchingException"),
        ErrorClass::WrongKindOfMetric,
        "the OAP's storage could not read the metric (Bad value for type long : {p=50},100|{p=95},140), as when a labelled metric is read by `readMetricsValues`; use `expression` with labels, as in `service_percentile{p='99'}`, or `readLabeledMetricsValues`",
    )
    .await;
    check(
        errors("Exception while fetching data (/service_apdex) : null", "DataFetchingException"),
        ErrorClass::WrongKindOfMetric,
        "the OAP's storage could not read the metric (null), as when a labelled metric is read by `readMetricsValues`; use `expression` with labels, as in `service_percentile{p='99'}`, or `readLabeledMetricsValues`",
    )
    .await;
    check(
        errors("Exception while fetching data (/service_apdex) : java.lang.IllegalArgumentException: Invalid format: \"2026-11-23 0909\" is malformed at \"09\"", "DataFetchingException"),
        ErrorClass::BadQuery,
        "the OAP can't read a time in the query, whose form depends on its step: Invalid format: \"2026-11-23 0909\" is malformed at \"09\"; take `$duration`, which always fits",
    )
    .await;
    check(
        errors("Exception while fetching data (/service_apdex) : java.net.ConnectException: Connection refused", "DataFetchingException"),
        ErrorClass::Unreachable,
        "the OAP could not reach its storage: Connection refused; its log says more",
    )
    .await;
    check(
        Reply::Json(json!({"data": {"service_apdex": null}, "errors": [{"message": "a"}, {"message": "b"}, {}]})),
        ErrorClass::BadQuery,
        "the OAP refuses the query: a (and 2 more errors)",
    )
    .await;
}

#[tokio::test]
async fn a_field_that_the_server_lacks_is_named_with_its_version() {
    let undefined = |field: &str, on: &str| {
        let message = format!(
            "Validation error (FieldUndefined@[{field}]) : Field '{field}' in type '{on}' is undefined"
        );
        Reply::Other(
            400,
            "application/json",
            json!({"errors": [{"message": message}]}).to_string(),
        )
    };
    check(
        undefined("readMetricValues", "Query"),
        ErrorClass::BadQuery,
        "this OAP (10.4.0-b272da3) has no field `readMetricValues` in `Query`; correct the query",
    )
    .await;
    check(
        undefined("readMetricsValues", "Query"),
        ErrorClass::BadQuery,
        "this OAP (10.4.0-b272da3) has no field `readMetricsValues` in `Query`; if the OAP is a newer one that has dropped the old queries, give an `expression` and an `entity`",
    )
    .await;
    check(
        undefined("owner", "MQEValue"),
        ErrorClass::Unsupported,
        "this OAP (10.4.0-b272da3) has no field `owner` in `MQEValue`, which came with 10.0; leave it out, or upgrade the OAP",
    )
    .await;

    let stub = Stub::modern(move |seen| match seen.operation() {
        "ExecExpression" => Some(undefined("execExpression", "Query")),
        _ => None,
    })
    .await;
    let plan = expression(&stub.url, "service_apdex");
    let reading = client(Options::default())
        .read(&plan, Moment::default())
        .await;
    assert_eq!(
        failure(&reading),
        (
            ErrorClass::Unsupported,
            "this OAP (10.4.0-b272da3) has no field `execExpression` in `Query`: expressions came with 9.5; give a `query`, or upgrade the OAP".to_owned()
        )
    );
}

#[tokio::test]
async fn every_recorded_failure_of_a_real_server_is_a_failure_here() {
    for version in ["10.4.0", "9.7.0"] {
        let path = format!(
            "{}/tests/data/oap/oap-{version}/failures.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut failures = 0;
        for answer in recorded["answers"].as_array().unwrap() {
            let response = &answer["response"];
            let body = response["body_text"]
                .as_str()
                .map_or_else(|| response["body"].to_string(), str::to_owned);
            let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
            if status == 200 && response["body"]["errors"].is_null() {
                continue;
            }
            let kind = if response["body"].is_null() {
                "text/plain"
            } else {
                "application/json"
            };
            let stub = Stub::modern(move |seen| {
                (seen.operation() == "").then(|| Reply::Other(status, kind, body.clone()))
            })
            .await;
            let reading = read_seed(&client(Options::default()), &stub.url).await;
            let (class, text) = failure(&reading);
            let expected = if kind == "text/plain" {
                ErrorClass::Malformed
            } else {
                ErrorClass::BadQuery
            };
            assert_eq!(class, expected, "{}: {text}", answer["name"]);
            failures += 1;
        }
        assert!(failures >= 10, "{version}: {failures}");
    }
}

#[tokio::test]
async fn an_answer_over_the_cap_is_not_read() {
    let options = || Options {
        response_cap: 4_096,
        ..Options::default()
    };
    let large = || "x".repeat(5_000);
    let announced = Stub::modern(move |seen| {
        (seen.operation() == "").then(|| Reply::Other(200, "application/json", large()))
    })
    .await;
    let expected =
        "the answer of `OAP` is larger than 4096 bytes; ask for fewer fields or a shorter interval";
    let reading = read_seed(&client(options()), &announced.url).await;
    assert_eq!(
        failure(&reading),
        (ErrorClass::Malformed, expected.to_owned())
    );

    // Without a length, in pieces.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b' '; 1_000]).await.is_ok() {}
        }
    };
    let oap = client(options());
    let reading = tokio::select! {
        reading = read_seed(&oap, &url) => reading,
        () = serve => unreachable!("it serves for ever"),
    };
    assert_eq!(
        failure(&reading),
        (ErrorClass::Malformed, expected.to_owned())
    );
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let target = Stub::modern(|_| None).await;
    let to = target.url.replace("http://", "http://jane:s3cret@") + "/graphql?token=s3cret#x";
    let stub = Stub::start(move |_| Reply::To(307, to.clone())).await;
    let reading = read_seed(&client(Options::default()), &stub.url).await;
    let expected = format!(
        "`OAP/graphql` redirects (307 Temporary Redirect) to `{}/graphql`; redirects are not followed, lest a question and its credentials end up elsewhere: give the address that really serves",
        target.url
    );
    assert_eq!(failure(&reading), (ErrorClass::Refused, expected));
    assert_eq!(target.take().len(), 0);
    assert_eq!(stub.take().len(), 1);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_for_half_a_minute() {
    let stub = Stub::start(|_| text(503, "no healthy upstream")).await;
    let clock = HandClock::new();
    let plan = expression(&stub.url, "service_apdex");
    let oap = client_on(clock.clone(), Options::default());
    let reading = oap.read(&plan, Moment::default()).await;
    let tries = stub.take().len();
    let expected = format!(
        "`OAP/graphql` answered 503 Service Unavailable (tried {tries} times): `no healthy upstream`; a gateway answers in place of the OAP, which is down or not ready"
    );
    assert_eq!(failure(&reading), (ErrorClass::Unreachable, expected));
    let slept: Duration = clock.slept().iter().sum();
    assert!((8..=16).contains(&tries), "{tries}");
    assert!(
        slept > Duration::from_secs(25) && slept <= Duration::from_secs(30),
        "{slept:?}"
    );
}

#[tokio::test]
async fn a_server_that_comes_back_in_time_is_measured() {
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let stub = Stub::modern(move |seen| {
        let nth = failures.fetch_add(
            usize::from(seen.operation() == ""),
            std::sync::atomic::Ordering::SeqCst,
        );
        let status = [502, 503, 504].get(nth).copied();
        status
            .filter(|_| seen.operation() == "")
            .map(|status| text(status, ""))
    })
    .await;
    let reading = read_seed(&client(Options::default()), &stub.url).await;
    assert!(reading.answer.is_ok(), "{reading:?}");
    assert_eq!(stub.take_reads().len(), 4);
}

#[tokio::test]
async fn what_will_not_pass_is_asked_once() {
    for status in [400, 401, 404, 429, 500, 501, 505] {
        let stub =
            Stub::modern(move |seen| (seen.operation() == "").then(|| text(status, ""))).await;
        let clock = HandClock::new();
        let reading = read_seed(&client_on(clock.clone(), Options::default()), &stub.url).await;
        assert!(reading.answer.is_err());
        assert_eq!(stub.take_reads().len(), 1, "{status}");
        assert!(clock.slept().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let clock = HandClock::new();
    let plan = expression(&url, "service_apdex");
    let reading = client_on(clock.clone(), Options::default())
        .read(&plan, Moment::default())
        .await;
    let tries = clock.slept().len() + 1;
    let (class, text) = failure(&reading);
    assert_eq!(class, ErrorClass::Unreachable);
    assert_eq!(
        text,
        format!(
            "no answer from `OAP`: Connection refused (os error 111); is the OAP running there, and is that its HTTP port (12800)? (tried {tries} times)"
        )
    );
    assert!(tries > 5);
    assert_eq!((reading.time, reading.window), (None, None));
}

/// Reads a request to its end, the brace that closes its body: whoever closes a connection with something unread resets it.
async fn read_request(stream: &mut TcpStream) {
    let (mut request, mut piece) = (Vec::new(), [0; 4_096]);
    while !request.ends_with(b"}") {
        match stream.read(&mut piece).await {
            Ok(read @ 1..) => request.extend_from_slice(&piece[..read]),
            Ok(0) | Err(_) => return,
        }
    }
}

/// A server on bare TCP that answers every connection with `bytes` and closes it.
async fn check_bytes(bytes: &'static [u8], expected: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("a socket"));
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a socket");
            read_request(&mut stream).await;
            let _ = stream.write_all(bytes).await;
        }
    };
    let oap = client(Options::default());
    let plan = expression(&url, "service_apdex");
    let reading = tokio::select! {
        reading = oap.read(&plan, Moment::default()) => reading,
        () = serve => unreachable!("it serves for ever"),
    };
    let (class, text) = failure(&reading);
    assert_eq!(class, ErrorClass::Unreachable);
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn something_else_than_http_answers() {
    check_bytes(b"", "connection closed before message completed").await;
    check_bytes(
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
        "an OAP answers queries on port 12800 (11800 is for agents)",
    )
    .await;
    check_bytes(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"data\"",
        "no answer from `OAP`",
    )
    .await;
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout() {
    let stub = Stub::start(|_| Reply::Never).await;
    let options = Options {
        timeout: Duration::from_millis(20),
        ..Options::default()
    };
    let clock = HandClock::new();
    let plan = expression(&stub.url, "service_apdex");
    let reading = client_on(clock.clone(), options)
        .read(&plan, Moment::default())
        .await;
    let (class, text) = failure(&reading);
    assert_eq!(class, ErrorClass::Unreachable);
    assert!(
        text.starts_with(&format!(
            "`OAP` did not answer within 20ms (tried {} times);",
            stub.take().len()
        )),
        "{text}"
    );
}

#[tokio::test]
async fn a_reading_ends_within_bounds_whatever_happens() {
    let stub = Stub::start(|_| Reply::Never).await;
    let clock = HandClock::with_patience(Some(Duration::from_millis(30)));
    let plan = expression(&stub.url, "service_apdex");
    let reading = client_on(clock, Options::default())
        .read(&plan, Moment::default())
        .await;
    assert_eq!(
        failure(&reading),
        (
            ErrorClass::Unreachable,
            "gave up on `OAP` after 60ms, with questions still waiting for their turn; it is overloaded, or too slow for so many".to_owned()
        )
    );
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let options = |auth| Options {
        auth,
        headers: vec![("X-Tenant".into(), Secret::new("t3nant"))],
        ..Options::default()
    };
    let basic = Auth::Basic {
        user: "jane".into(),
        password: Secret::new("s3cret"),
    };
    let bearer = Auth::Bearer(Secret::new("s3cret"));
    for (auth, in_url, expected) in [
        (Auth::None, "", ""),
        (basic.clone(), "", "Basic amFuZTpzM2NyZXQ="),
        (bearer.clone(), "", "Bearer s3cret"),
        (bearer, "john:s3cret@", "Basic am9objpzM2NyZXQ="),
    ] {
        // A server that repeats what it was sent, as some do.
        let stub = Stub::start(|seen| {
            text(
                401,
                &format!(
                    "no: {} {} s3cret",
                    seen.header("authorization"),
                    seen.header("x-tenant")
                ),
            )
        })
        .await;
        let url = stub.url.replace("http://", &format!("http://{in_url}"));
        let oap = client_of(&stub.url, options(auth));
        let reading = oap.read(&seed(&url, CANARY), Moment::default()).await;
        for seen in stub.take() {
            assert_eq!(seen.header("authorization"), expected);
            assert_eq!(seen.header("x-tenant"), "t3nant");
            assert_eq!(seen.header("content-type"), "application/json");
            assert!(seen.header("user-agent").starts_with("skygate/"));
        }
        assert_eq!(reading.server, stub.url);
        let shown = format!("{reading:?} {oap:?}");
        assert!(!shown.contains("t3nant"), "{shown}");
        assert!(expected.is_empty() || !shown.contains("s3cret"), "{shown}");
    }
}

#[tokio::test]
async fn an_oap_that_only_a_template_names_gets_no_credentials_of_ours() {
    let options = || Options {
        auth: Auth::Bearer(Secret::new("s3cret")),
        headers: vec![("X-Tenant".into(), Secret::new("t3nant"))],
        ..Options::default()
    };
    let stub = Stub::modern(|_| None).await;
    for (url, expected) in [
        (stub.url.clone(), ""),
        // What the template itself has is the template's to give.
        (
            stub.url.replace("http://", "http://john:0wn@"),
            "Basic am9objowd24=",
        ),
    ] {
        let oap = client_of("http://oap.example", options());
        let reading = read_seed(&oap, &url).await;
        for seen in stub.take() {
            assert_eq!(seen.header("authorization"), expected);
            assert_eq!(seen.header("x-tenant"), "");
            assert_eq!(seen.header("content-type"), "application/json");
        }
        let notes = reading.answer.expect("an answer").notes;
        assert!(
            notes.iter().any(|note| note.contains("were not sent")),
            "{notes:?}"
        );
        let findings = oap.preflight(&seed(&url, CANARY)).await;
        assert!(
            findings.contains(&Finding::CredentialsWithheld),
            "{findings:?}"
        );
        stub.take();
    }

    let stub = Stub::start(|_| text(401, "")).await;
    let reading = read_seed(&client_of("http://oap.example", options()), &stub.url).await;
    let (class, text) = failure(&reading);
    assert_eq!(class, ErrorClass::Refused);
    assert!(text.contains("were not sent"), "{text}");
}

#[tokio::test]
async fn whoever_the_user_names_in_any_way_gets_the_credentials() {
    let stub = Stub::modern(|_| None).await;
    let directory = Directory::default;
    let written = "http://oap.istio-system:12800";
    for (directory, url) in [
        (directory().only(address(&stub.url)), "http://elsewhere"),
        (
            directory().instead_of(&address(written), address(&stub.url)),
            written,
        ),
        // By a name, while the template has its address.
        (
            directory().name("production", address(&stub.url)),
            &stub.url,
        ),
    ] {
        let options = Options {
            auth: Auth::Bearer(Secret::new("s3cret")),
            ..Options::default()
        };
        let oap = Oap::new(options, directory, HandClock::new()).expect("usable options");
        let notes = read_seed(&oap, url).await.answer.expect("an answer").notes;
        assert_eq!(notes, Vec::<String>::new());
        for seen in stub.take() {
            assert_eq!(seen.header("authorization"), "Bearer s3cret");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_none() {
    let oap = client(Options::default());
    let (class, text) = failure(
        &oap.read(&seed("oap:12800", CANARY), Moment::default())
            .await,
    );
    assert_eq!(class, ErrorClass::Refused);
    assert!(
        text.starts_with("`OAP` is no `http` or `https` URL"),
        "{text}"
    );
    let reading = oap
        .read(
            &query("ftp://jane:s3cret@oap", "{ version }"),
            Moment::default(),
        )
        .await;
    assert!(!format!("{reading:?}").contains("s3cret"), "{reading:?}");
}
