//! A summary in Markdown: the verdict first, then the metrics, then what decided.

use std::fmt::Write;

use super::{Decisive, Metric, Report, Standing};
use crate::cli::outcome::Outcome;

/// How many points a table shows.
const MOST_POINTS: usize = 30;

/// `report` as Markdown, in the flavour of GitHub and GitLab.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = brief(report);
    for metric in report.metrics.iter().filter(|metric| metric.ended_badly()) {
        if let Some(decisive) = &metric.decisive {
            explained(&mut out, metric, decisive);
        }
    }
    out
}

/// The verdict and the metrics alone.
pub(super) fn brief(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "## {}: {}\n",
        report.outcome.word(),
        plain(&report.name)
    );
    if report.problems.is_empty() {
        if !report.why.is_empty() {
            let _ = writeln!(out, "{}\n", plain(&report.why));
        }
    } else {
        let problems = report.problems.join("\n\n");
        let _ = writeln!(out, "{}", fenced(&problems));
    }
    if report.metrics.is_empty() {
        return out;
    }
    metrics(&mut out, report);
    if report.outcome == Outcome::Successful && !report.evidence {
        out.push_str(
            "Not every metric has a good measurement, so nothing should be promoted on this.\n\n",
        );
    }
    out
}

fn metrics(out: &mut String, report: &Report) {
    row(
        out,
        &[
            "Metric",
            "Phase",
            "Good",
            "Failed",
            "Inconclusive",
            "Errors",
            "Taken",
        ],
    );
    row(out, &["---", "---", "--:", "--:", "--:", "--:", "--:"]);
    for metric in &report.metrics {
        let phase = match &metric.standing {
            Standing::Judged => metric.phase.to_string(),
            Standing::DryRun => format!("{} (dry run)", metric.phase),
            Standing::CutShort(why) => format!("{} ({})", metric.phase, plain(why)),
        };
        row(
            out,
            &[
                &plain(&metric.name),
                &phase,
                &metric.good.to_string(),
                &metric.failed,
                &metric.inconclusive,
                &metric.errors.to_string(),
                &metric.taken.to_string(),
            ],
        );
    }
    out.push('\n');
}

/// What decided one metric that ended badly.
fn explained(out: &mut String, metric: &Metric, decisive: &Decisive) {
    let dry = match metric.standing {
        Standing::DryRun => " (dry run)",
        Standing::Judged | Standing::CutShort(_) => "",
    };
    let _ = writeln!(
        out,
        "### {}{dry}: measurement {}\n\n{}\n",
        plain(&metric.name),
        decisive.number,
        plain(&decisive.verdict)
    );
    if let Some((side, condition)) = &decisive.condition {
        let _ = writeln!(out, "`{side}`:\n\n{}", fenced(condition));
    }
    points(out, decisive);
    let _ = writeln!(
        out,
        "<details><summary>How it was measured</summary>\n\n{}\n</details>\n",
        fenced(&decisive.text)
    );
}

/// The points, those that decided in bold; where there are many, no others.
fn points(out: &mut String, decisive: &Decisive) {
    let all = &decisive.points;
    let is_long = all.len() > MOST_POINTS;
    let shown = || all.iter().filter(|point| point.decided || !is_long);
    if shown().next().is_none() {
        return;
    }
    row(out, &["Series", "Bucket", "Value", ""]);
    row(out, &["---", "---", "--:", "---"]);
    for point in shown().take(MOST_POINTS) {
        let (value, note) = if point.decided {
            (format!("**{}**", plain(&point.value)), "decided")
        } else {
            (plain(&point.value), point.note)
        };
        row(
            out,
            &[&plain(&point.series), &plain(&point.at), &value, note],
        );
    }
    out.push('\n');
    let left_out = all.len() - shown().take(MOST_POINTS).count();
    if left_out > 0 {
        let _ = writeln!(out, "{left_out} more points are not shown.\n");
    }
}

fn row(out: &mut String, cells: &[&str]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// `text` in a block that shows it as it is.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// `text` without anything that Markdown, its tables or HTML would make more of.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        // A line that begins with two colons would be obeyed in the log of a job.
        if "\\`*_{}[]<>|#~$!&".contains(c) || (index == 0 && "+-:".contains(c)) {
            plain.push('\\');
        }
        plain.push(if c == '\n' { ' ' } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let check = |text, expected: &str| assert_eq!(plain(text), expected, "{text}");
        check(
            "apdex failed 4 of 4 (limit 3)",
            "apdex failed 4 of 4 (limit 3)",
        );
        check("canary|reviews|-", r"canary\|reviews\|-");
        check(
            "<img src=x> *a* `b` [c](d)",
            r"\<img src=x\> \*a\* \`b\` \[c\](d)",
        );
        check("-1\n2", r"\-1 2");
        check("::a::b ##[c]", r"\::a::b \#\#\[c\]");
    }

    #[test]
    fn a_fence_is_longer_than_any_within() {
        assert_eq!(fenced("a"), "```text\na\n```\n");
        assert_eq!(fenced("```\nb\n```\n"), "````text\n```\nb\n```\n````\n");
    }
}
