//! Secrets stay where they are: in no result, no error, no log.

use serde_json::{Value, json};

use super::process::{Ended, Oap, command, finish, skygate, skygate_reading};
use crate::harness::routes::{self, measured, refused, tells};

const SECRET: &str = "hunter2-of-the-vault";
const PASSWORD: &str = "corr3ct-horse";

/// A template that puts a secret wherever one can be put.
const TEMPLATE: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: masked}
spec:
  args:
  - name: token
    valueFrom: {secretKeyRef: {name: vault, key: api-token}}
  - name: host
  metrics:
  - name: query
    successCondition: all(values > 0) or "{{args.token}}" == "x"
    provider:
      skywalking:
        address: "{{args.host}}"
        interval: 3m
        noData: Inconclusive
        query: |
          query q($duration: Duration!) {
            a: readMetricsValues(condition: {name: "METRIC", entity: {scope: Service, serviceName: "{{args.token}}", normal: true}}, duration: $duration) {
              values { values { value } }
            }
          }
  - name: expression
    successCondition: all(values > 0)
    provider:
      skywalking:
        address: "{{args.host}}"
        interval: 3m
        noData: Inconclusive
        expression: service_apdex
        entity: {serviceName: "{{args.token}}", normal: true}
"#;

/// Runs the binary with the secret, and with credentials in the OAP's address.
fn with_secrets(oap: &Oap, template: &str, args: &[&str]) -> Ended {
    let host = oap
        .url
        .replace("http://", &format!("host=http://jane:{PASSWORD}@"));
    let mut command = command(&[args, &["-f", "-", "--arg", &host]].concat());
    command.env("SKYGATE_SECRET_VAULT_API_TOKEN", SECRET);
    finish(command, template)
}

fn check_unseen(ended: &Ended, secrets: &[&str]) {
    for secret in secrets {
        let outputs = [&ended.stdout, &ended.stderr];
        assert!(
            !outputs.iter().any(|text| text.contains(secret)),
            "{secret}: {ended:#?}"
        );
    }
}

#[test]
fn they_are_masked_in_every_form_of_every_result() {
    let strange = Oap::start(&["checkout=healthy"]);
    let known = Oap::start(&[&format!("{SECRET}=healthy")]);
    let right = TEMPLATE.replace("METRIC", "service_apdex");
    let wrong = TEMPLATE.replace("METRIC", "service_apdx");
    // A run asks again after an error, ten seconds later each time.
    let cases: [(_, _, _, &[&str]); 3] = [
        (&known, &right, 0, &["measure", "run"]),
        (&strange, &right, 3, &["measure", "run"]),
        (&known, &wrong, 4, &["measure"]),
    ];
    for (oap, template, code, commands) in cases {
        for form in ["text", "json", "yaml", "junit", "markdown", "github"] {
            for command in commands {
                let args = [*command, "-o", form, "--log", "trace,skygate=trace"];
                let ended = with_secrets(oap, template, &args);
                assert_eq!(ended.code, Some(code), "{args:?}: {ended:#?}");
                let is_whole = ["json", "yaml"].contains(&form);
                let is_brief = match (*command, code) {
                    ("run", 0) => !is_whole,
                    (_, 0) => !is_whole && form != "text",
                    (_, _) => form == "github",
                };
                assert!(
                    is_brief || ended.stdout.contains("*****"),
                    "{args:?}: {ended:#?}"
                );
                assert!(
                    ended.stderr.contains("it answered 200 OK"),
                    "{args:?}: {ended:#?}"
                );
                check_unseen(&ended, &[SECRET, PASSWORD]);
            }
        }
    }
}

#[test]
fn they_are_masked_in_what_validate_says() {
    let oap = Oap::start(&["checkout=healthy"]);
    let right = TEMPLATE.replace("METRIC", "service_apdex");
    let ended = with_secrets(&oap, &right, &["validate", "--oap", &oap.url]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        ended.stdout.contains("never seen a service `*****`"),
        "{ended:#?}"
    );
    check_unseen(&ended, &[SECRET, PASSWORD]);

    let wrong = right.replace("interval: 3m", "interval: 3m-{{args.token}}");
    let wrong = wrong.replace("\"{{args.host}}\"", "\"{{args.host}}?x {{args.token}}\"");
    let ended = with_secrets(&oap, &wrong, &["validate"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("*****"), "{ended:#?}");
    check_unseen(&ended, &[SECRET, PASSWORD]);
}

/// Runs the binary on a template with these metrics, with everything that it logs.
fn with_metrics(oap: &Oap, metrics: &[Value], args: &[&str]) -> Ended {
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "routes"},
        "spec": {"args": routes::arguments(), "metrics": metrics},
    });
    let sim = format!("sim={}", oap.url);
    let more = ["-f", "-", "--oap", &sim, "--log", "trace,skygate=trace"];
    let mut command = command(&[args, &more].concat());
    command.env("SKYGATE_SECRET_VAULT_TOKEN", routes::SECRET);
    command.env("SKYGATE_SECRET_VAULT_NAME", routes::NAME);
    command.env("SKYGATE_SECRET_VAULT_QUERY", routes::QUERY);
    finish(command, &template.to_string())
}

#[test]
fn no_part_of_them_is_told_whatever_is_made_of_them() {
    let oap = Oap::start(&["checkout=healthy"]);
    for form in ["text", "json", "junit", "markdown", "github"] {
        for command in ["measure", "run"] {
            let ended = with_metrics(&oap, &measured(), &[command, "-o", form]);
            assert!(matches!(ended.code, Some(1 | 4)), "{ended:#?}");
            assert!(!tells(&ended.transcript()), "{command} {form}: {ended:#?}");
        }
    }
    let ended = with_metrics(&oap, &measured(), &["validate"]);
    assert_eq!(ended.code, Some(4), "{ended:#?}");
    assert!(!tells(&ended.transcript()), "{ended:#?}");
    for metric in refused() {
        let ended = with_metrics(&oap, &[metric], &["validate"]);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(!tells(&ended.transcript()), "{ended:#?}");
    }
}

#[test]
fn credentials_of_flags_are_sent_and_not_shown() {
    let oap = Oap::start(&["checkout=healthy"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{SECRET}\n")).expect("a file");
    let file = file.to_str().expect("a path in ASCII");
    let with_password = oap
        .url
        .replace("http://", &format!("http://jane:{PASSWORD}@"));
    let header = format!("x-api-key: @{file}");
    let ways: [&[&str]; 4] = [
        &["--oap", &with_password],
        &["--oap", &oap.url, "--oap-token-file", file],
        &[
            "--oap",
            &oap.url,
            "--oap-user",
            "jane",
            "--oap-password-file",
            file,
        ],
        &["--oap", &oap.url, "--oap-header", &header],
    ];
    for way in ways {
        let measure = [
            "measure",
            "-f",
            super::APDEX,
            "--arg",
            "service-name=checkout",
        ];
        let ended = skygate(&[measure.as_slice(), way, &["--log", "trace,skygate=trace"]].concat());
        assert_eq!(ended.code, Some(0), "{way:?}: {ended:#?}");
        check_unseen(&ended, &[SECRET, PASSWORD]);
    }
    // Neither is what went wrong with them.
    let wrong: [&[&str]; 3] = [
        &["--oap", "http://jane:corr3ct-horse@localhost/?x"],
        &["--oap", "jane:corr3ct-horse@localhost"],
        &[
            "--oap",
            "http://localhost:1",
            "--oap-header",
            "hunter2-of-the-vault",
        ],
    ];
    for way in wrong {
        let measure = [
            "measure",
            "-f",
            super::APDEX,
            "--arg",
            "service-name=checkout",
        ];
        let ended = skygate(&[measure.as_slice(), way].concat());
        assert_eq!(ended.code, Some(2), "{way:?}: {ended:#?}");
        check_unseen(&ended, &[SECRET, PASSWORD]);
    }
}

#[test]
fn a_secret_that_is_not_there_is_said_so() {
    let ended = skygate_reading(
        &["validate", "-f", "-", "--arg", "host=http://localhost:1"],
        TEMPLATE,
    );
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.stderr, @"error: spec.args[0].valueFrom.secretKeyRef: no secret `vault` with the key `api-token`: set SKYGATE_SECRET_VAULT_API_TOKEN, or give --secrets DIR with a file DIR/default/vault/api-token");
}

#[test]
fn a_secret_in_an_address_is_told_nowhere() {
    let template = std::fs::read_to_string(super::APDEX).expect("an example");
    let template = template
        .replace("  - name: service-name\n", SECRET_ARGUMENT)
        .replace(
            "http://oap.istio-system:12800",
            "http://127.0.0.1:1/{{ args.tenant }}",
        );
    let args = [
        "run",
        "-f",
        "-",
        "--arg",
        "service-name=a",
        "--timeout",
        "1s",
        "--log",
        "debug",
    ];
    let mut command = command(&args);
    command.env("SKYGATE_SECRET_OAP_TENANT", "HuNTER2x");
    let ended = finish(command, &template);
    assert_eq!(ended.code, Some(5), "{ended:#?}");
    assert!(
        ended.stderr.contains("asking http://127.0.0.1:1/*****"),
        "{ended:#?}"
    );
    assert!(!ended.transcript().contains("HuNTER2x"), "{ended:#?}");
}

/// The reference template's argument, and one more that is a secret.
const SECRET_ARGUMENT: &str = "  - name: service-name
  - name: tenant
    valueFrom: {secretKeyRef: {name: oap, key: tenant}}
";
