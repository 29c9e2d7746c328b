//! A test report in the form of JUnit: a suite for the run, a test case for each metric.
//!
//! | a metric that | is |
//! | --- | --- |
//! | was found good | passed |
//! | Failed | a failure |
//! | could not be measured, was Inconclusive, or was still under way at `--timeout` | an error |
//! | is a dry run, was cut short, or succeeded without a good measurement | skipped |
//!
//! What a reader needs stands in the body, since some show that and not the `message`.
//! A report may end up in the log of a job: what a CI system would obey there is written so that only a reader of XML sees it.

use std::fmt::Write;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use super::{Metric, Report, Standing, took};
use crate::cli::outcome::{Outcome, unobeyed_xml};
use crate::cli::show;
use crate::domain::measurement::Phase;

/// `report` as JUnit's XML.
pub(super) fn junit(report: &Report) -> anyhow::Result<String> {
    let mut suite = TestSuite::new(text(&report.name));
    for (name, value) in [
        ("namespace", report.namespace.as_str()),
        ("id", report.id.as_deref().unwrap_or_default()),
        ("phase", report.outcome.word()),
        ("explanation", &report.why),
        ("evidence", if report.evidence { "true" } else { "false" }),
    ] {
        suite.add_property((text(name), text(value)));
    }
    if let Some(at) = report.started_at {
        // The form that every reader knows, of UTC.
        let at = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        suite.extra.insert("timestamp".into(), at.into());
    }
    if let Some(took) = report.took() {
        suite.set_time(took);
    }
    for metric in &report.metrics {
        suite.add_test_case(test_case(metric, report));
    }
    if report.metrics.is_empty() {
        suite.add_test_case(no_metric(report));
    }
    let mut suites = Suites::new("skygate");
    if let Some(took) = report.took() {
        suites.set_time(took);
    }
    let skipped = suite.skipped;
    suites.add_test_suite(suite);
    let xml = suites.to_string()?;
    // The root has no such attribute in the schema that Jenkins checks reports by; the suite has.
    let xml = xml.replacen(&format!(" skipped=\"{skipped}\""), "", 1);
    Ok(unobeyed_xml(&xml).into_owned())
}

fn test_case(metric: &Metric, report: &Report) -> TestCase {
    let mut case = TestCase::new(text(&metric.name), status(metric, report));
    case.set_classname(text(&report.name));
    if let Some(took) = took(report.started_at, metric.ended_at) {
        case.set_time(took);
    }
    if !metric.log.is_empty() {
        case.set_system_out(text(&(metric.log.join("\n") + "\n")));
    }
    case
}

fn status(metric: &Metric, report: &Report) -> TestCaseStatus {
    match &metric.standing {
        Standing::DryRun => skipped(&format!("dry run: {}", metric.verdict())),
        Standing::CutShort(why) => skipped(why),
        Standing::Judged => match metric.phase {
            Phase::Successful if metric.good == 0 => {
                skipped("Successful, but without a good measurement")
            }
            Phase::Successful => TestCaseStatus::success(),
            Phase::Failed => bad(NonSuccessKind::Failure, metric, &metric.why),
            Phase::Error | Phase::Inconclusive => bad(NonSuccessKind::Error, metric, &metric.why),
            Phase::Pending | Phase::Running if report.outcome == Outcome::TimedOut => {
                bad(NonSuccessKind::Error, metric, show::NOT_OVER)
            }
            Phase::Pending | Phase::Running => skipped(&report.why),
        },
    }
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(text(why));
    status
}

fn bad(kind: NonSuccessKind, metric: &Metric, why: &str) -> TestCaseStatus {
    let mut body = why.to_owned();
    if let Some(decisive) = &metric.decisive {
        let _ = write!(body, "\n\n{}", decisive.text);
    }
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(metric.phase.name());
    status.set_message(text(why));
    status.set_description(text(&body));
    status
}

/// What stands for a run that could not begin.
fn no_metric(report: &Report) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(report.outcome.word());
    status.set_message(text(&report.why));
    status.set_description(text(&report.problems.join("\n\n")));
    let mut case = TestCase::new("skygate", status);
    case.set_classname("skygate");
    case
}

/// `text` without the two characters that XML has no place for and the crate leaves in.
fn text(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
