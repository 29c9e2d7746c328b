//! `skygate validate`.

use std::fmt::Write;
use std::sync::Arc;

use clap::Args;

use super::options::{OapArgs, TemplateArgs};
use super::outcome::{Failure, Outcome, print};
use super::prepare::{self, Prepared};
use super::show;
use crate::oap::{Finding, Oap};

/// Check templates without running them
///
/// Tells all faults at once, each with its path and a way out, and warns of what is allowed but surely not meant.
/// With --oap the server is asked too: its version, clock and zone, and whether it knows the metric and the service.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Validate {
    #[command(flatten)]
    template: TemplateArgs,

    #[command(flatten)]
    oap: OapArgs,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  valid, warnings or not
  2  invalid
  4  valid, but the OAP cannot answer for it";

impl Validate {
    pub(super) async fn execute(self) -> Result<Outcome, Failure> {
        let prepared = Prepared::from_args(&self.template, self.oap.anywhere())?;
        let metrics = &prepared.plan.metrics;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "valid: `{}` in namespace `{}`, {}",
            prepared.name,
            prepared.namespace,
            show::counted(metrics.len() as u64, "metric")
        );
        for metric in metrics {
            let _ = writeln!(out, "  {}", show::metric(metric));
        }
        for warning in prepared.warnings(None) {
            let _ = writeln!(out, "warning: {warning}");
        }
        print(&out)?;
        if self.oap.servers.is_empty() {
            return Ok(Outcome::Successful);
        }
        let oap = prepare::oap(&self.oap, None, prepare::clock(None), &prepared.plan)?;
        ask(&oap, &prepared).await
    }
}

/// Asks the OAPs about each metric.
async fn ask(oap: &Arc<Oap>, prepared: &Prepared) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Successful;
    let mut told: Vec<(String, Finding)> = Vec::new();
    for metric in &prepared.plan.metrics {
        let server = prepare::whom(oap, &prepared.plan, metric);
        let findings = prepare::patiently(&server, oap.preflight(&metric.source)).await;
        let mut out = format!("\n{}, asked of {server}:\n", metric.name);
        for finding in findings {
            if finding.is_fault() {
                outcome = Outcome::Error;
            }
            let label = label(&finding);
            let text = finding.shown(&prepared.plan.masker);
            let of_server = (server.clone(), finding);
            if told.contains(&of_server) {
                continue;
            }
            let _ = writeln!(out, "  {label}{text}");
            if is_about_the_server(&of_server.1) {
                told.push(of_server);
            }
        }
        print(&out)?;
    }
    Ok(outcome)
}

/// How much it matters: an empty answer and a service that nobody has seen are the likeliest slips of all.
fn label(finding: &Finding) -> &'static str {
    match finding {
        Finding::Fault(_) => "error: ",
        Finding::UnseenService { .. } | Finding::CredentialsWithheld => "warning: ",
        Finding::Answered { without_data, .. } if *without_data > 0 => "warning: ",
        Finding::Answered { .. }
        | Finding::Version(_)
        | Finding::Time(_)
        | Finding::ZeroLooksLikeNothing
        | Finding::Metric(_)
        | Finding::Service(_) => "",
    }
}

/// Whether it holds for every metric alike, so that once is enough.
fn is_about_the_server(finding: &Finding) -> bool {
    match finding {
        Finding::CredentialsWithheld
        | Finding::Version(_)
        | Finding::Time(_)
        | Finding::ZeroLooksLikeNothing => true,
        Finding::Metric(_)
        | Finding::Service(_)
        | Finding::UnseenService { .. }
        | Finding::Answered { .. }
        | Finding::Fault(_) => false,
    }
}
