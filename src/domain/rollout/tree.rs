//! A rollout as people look at it: the tree that `kubectl argo rollouts get` draws, and the newest values against their conditions.

use std::fmt::Write;

use jiff::Timestamp;

use super::super::measurement::Phase;
use super::Weight;
use super::command::Command;
use super::desk::Letter;
use super::state::{Analysis, PauseReason, Promotion, Revision, Rollout, Version};
use super::status::RolloutPhase;
use super::summary::{MetricSummary, RunSummary};

/// How wide the labels of the head are.
const LABEL: usize = 17;

/// The longest line about a metric, in characters.
const LONGEST_VALUES: usize = 120;

/// How many lines are shown of what a failed hook said: the last ones.
const MOST_SAID: usize = 5;

/// What is known around a rollout.
#[derive(Clone, Debug)]
pub struct Around<'a> {
    /// Its runs.
    pub runs: &'a [RunSummary],
    /// What people want that nobody has taken in yet, oldest first.
    pub waiting: &'a [Letter],
    /// Who steps it.
    pub stepping: Stepping<'a>,
}

/// Who steps a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepping<'a> {
    /// Whoever draws it.
    Here,
    /// Somebody else.
    By {
        /// Who, as they call themselves.
        holder: &'a str,
        /// When they last kept their lease.
        seen_at: Timestamp,
    },
    /// Nobody: nothing moves.
    Nobody,
}

/// `rollout` with what is known around it.
pub fn draw(rollout: &Rollout, around: &Around<'_>, now: Timestamp) -> String {
    let mut out = String::new();
    let runs = around.runs;
    let (phase, message) = shown_status(rollout, around);
    head(&mut out, rollout, phase, &message, around, now);
    out.push('\n');

    let mut rows = Vec::new();
    rows.push(Row {
        name: format!("⟳ {}", rollout.name),
        kind: "Rollout",
        status: format!("{} {phase}", icon(phase)),
        age: age(rollout.created_at, now),
        info: String::new(),
    });
    let revisions = revisions(rollout);
    let count = revisions.len();
    for (i, revision) in revisions.into_iter().enumerate() {
        let (branch, below) = branch(i + 1 == count);
        rows.push(Row {
            name: format!("{branch}# revision:{}", revision.number),
            info: roles(rollout, revision),
            ..Row::default()
        });
        analyses(&mut rows, rollout, revision.number, below, runs, now);
    }
    table(&mut out, rows);
    out
}

/// What is shown: a pause that somebody has just ended is one no more, where there is a stepper to end it.
fn shown_status(rollout: &Rollout, around: &Around<'_>) -> (RolloutPhase, String) {
    let is_ending = |letter: &Letter| match letter.posted.command {
        Command::Promote | Command::PromoteFull | Command::Resume => true,
        Command::Confirm | Command::Abort | Command::Retry | Command::Pause => false,
    };
    let (phase, message) = rollout.status();
    let is_stepped = around.stepping != Stepping::Nobody;
    if phase == RolloutPhase::Paused && is_stepped && around.waiting.iter().any(is_ending) {
        let message = "waiting for rollout to unpause".to_owned();
        return (RolloutPhase::Progressing, message);
    }
    (phase, message)
}

fn head(
    out: &mut String,
    rollout: &Rollout,
    phase: RolloutPhase,
    message: &str,
    around: &Around<'_>,
    now: Timestamp,
) {
    line(out, "Name:", &rollout.name);
    line(out, "Namespace:", &rollout.namespace);
    line(out, "Status:", &format!("{} {phase}", icon(phase)));
    if !message.is_empty() {
        line(out, "Message:", message);
    }
    if message == PauseReason::NoEvidence.name() {
        let way_out =
            "nothing good was measured yet: it goes on once that is, or with `rollout promote`";
        line(out, "", way_out);
    }
    last_words(out, rollout);
    people(out, rollout, around, now);
    if let Some(trouble) = &rollout.trouble {
        let since = age(trouble.since, now);
        line(
            out,
            "Trouble:",
            &format!("{} (for {since})", trouble.message),
        );
    }
    if let Some(since) = rollout.blind_since {
        let since = age(since, now);
        line(
            out,
            "Out of sight:",
            &format!("for {since}; the weight is held"),
        );
    }
    line(out, "Strategy:", "Canary");
    let steps = rollout.spec.steps.len();
    line(out, "  Step:", &format!("{}/{steps}", rollout.step));
    // Once the new version is the stable one, all of the traffic is its.
    let weight = |weight: Weight| {
        if rollout.is_promoted() {
            Weight::ALL.to_string()
        } else {
            weight.to_string()
        }
    };
    line(out, "  SetWeight:", &weight(rollout.weight));
    line(out, "  ActualWeight:", &weight(rollout.routed));
    let mut label = "Images:";
    for (version, role) in versions(rollout) {
        if let Some(image) = &version.image {
            line(out, label, &format!("{image} ({role})"));
            label = "";
        }
    }
}

/// What a hook that failed said at last.
fn last_words(out: &mut String, rollout: &Rollout) {
    match rollout.promotion {
        Promotion::HookFailed { .. } => {}
        Promotion::Hook { number, .. } if number > 1 => {}
        Promotion::Hook { .. } | Promotion::NotDue | Promotion::Unconfirmed => return,
    }
    let said: Vec<&str> = rollout.hook_output.lines().collect();
    let mut label = "Hook said:";
    for words in &said[said.len().saturating_sub(MOST_SAID)..] {
        let words: String = words.chars().take(LONGEST_VALUES).collect();
        line(out, label, &words);
        label = "";
    }
}

/// Who steps it, and what people want of whoever does.
fn people(out: &mut String, rollout: &Rollout, around: &Around<'_>, now: Timestamp) {
    let is_needed = rollout.outcome().is_none() || !around.waiting.is_empty();
    match around.stepping {
        Stepping::By { holder, seen_at } => {
            let seen = age(seen_at, now);
            line(out, "Stepper:", &format!("{holder}, seen {seen} ago"));
        }
        Stepping::Nobody if is_needed => line(
            out,
            "Stepper:",
            "none, nothing moves: run `skygate rollout run -f …`",
        ),
        Stepping::Here | Stepping::Nobody => {}
    }
    let mut label = "Waiting:";
    for Letter { posted, by, at } in around.waiting {
        let (command, posted_at) = (posted.command, age(*at, now));
        let by = if by.is_empty() {
            String::new()
        } else {
            format!(" by {by}")
        };
        line(
            out,
            label,
            &format!("{command} (posted {posted_at} ago{by})"),
        );
        label = "";
    }
}

/// The versions that take traffic, or may.
fn versions(rollout: &Rollout) -> Vec<(&Version, &'static str)> {
    let current = &rollout.revision.version;
    if rollout.is_promoted() {
        return vec![(current, "stable")];
    }
    let stable = rollout.stable.iter().map(|version| (version, "stable"));
    std::iter::once((current, "canary")).chain(stable).collect()
}

/// The revisions worth a look, newest first: what is rolled out, what is stable, and those whose analyses are still known.
fn revisions(rollout: &Rollout) -> Vec<&Revision> {
    let is_worth = |revision: &&Revision| {
        rollout.is_stable(&revision.version)
            || rollout
                .earlier
                .iter()
                .any(|analysis| analysis.key.revision == revision.number)
    };
    let former = rollout.former.iter().rev().filter(is_worth);
    std::iter::once(&rollout.revision).chain(former).collect()
}

/// `v3,canary`.
fn roles(rollout: &Rollout, revision: &Revision) -> String {
    let name = &revision.version.name;
    if rollout.is_stable(&revision.version) {
        format!("{name},stable")
    } else if revision.number == rollout.revision.number {
        format!("{name},canary")
    } else {
        name.clone()
    }
}

fn analyses(
    rows: &mut Vec<Row>,
    rollout: &Rollout,
    revision: u64,
    below: &str,
    runs: &[RunSummary],
    now: Timestamp,
) {
    let earlier = rollout.earlier.iter().chain(rollout.analyses());
    let mut found: Vec<&Analysis> = earlier
        .filter(|analysis| analysis.key.revision == revision)
        .collect();
    found.sort_by_key(|analysis| analysis.asked_at);
    let count = found.len();
    for (i, analysis) in found.into_iter().enumerate() {
        let (fork, under) = branch(i + 1 == count);
        let summary = runs
            .iter()
            .find(|summary| Some(&summary.run) == analysis.run.as_ref());
        let phase = summary.map_or(analysis.phase, |summary| summary.phase);
        let metrics = summary.map_or(&[][..], |summary| &summary.metrics);
        rows.push(Row {
            name: format!("{below}{fork}α {}", analysis.name),
            kind: "AnalysisRun",
            status: format!("{} {phase}", phase_icon(phase)),
            age: age(analysis.asked_at, now),
            info: counts(metrics),
        });
        for (i, metric) in metrics.iter().enumerate() {
            let (fork, _) = branch(i + 1 == metrics.len());
            rows.push(Row {
                name: format!("{below}{under}{fork}{}", metric.name),
                kind: "Metric",
                ..latest(metric, now)
            });
        }
    }
}

/// A metric's newest values against its condition.
fn latest(metric: &MetricSummary, now: Timestamp) -> Row {
    let Some(latest) = &metric.latest else {
        return Row {
            status: format!("{} {}", phase_icon(metric.phase), metric.phase),
            ..Row::default()
        };
    };
    let line = match latest.condition.as_str() {
        "" => latest.values.clone(),
        condition => format!("{} against {condition}", latest.values),
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let line = words.join(" ");
    let mut info: String = line.chars().take(LONGEST_VALUES).collect();
    if info.len() < line.len() {
        info.push('…');
    }
    Row {
        status: format!("{} {}", phase_icon(latest.phase), latest.phase),
        age: age(latest.at, now),
        info,
        ..Row::default()
    }
}

/// `✔ 4,✖ 4,? 1,⚠ 1`: measurements, of all metrics together.
fn counts(metrics: &[MetricSummary]) -> String {
    let sum = |of: fn(&MetricSummary) -> u64| metrics.iter().map(of).sum::<u64>();
    let parts = [
        (Phase::Successful, sum(|metric| metric.successful)),
        (Phase::Failed, sum(|metric| metric.failed)),
        (Phase::Inconclusive, sum(|metric| metric.inconclusive)),
        (Phase::Error, sum(|metric| metric.error)),
    ];
    let parts = parts.into_iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(phase, count)| format!("{} {count}", phase_icon(phase)))
        .collect();
    parts.join(",")
}

fn icon(phase: RolloutPhase) -> char {
    match phase {
        RolloutPhase::Progressing => '◌',
        RolloutPhase::Paused => '॥',
        RolloutPhase::Healthy => '✔',
        RolloutPhase::Degraded => '✖',
    }
}

fn phase_icon(phase: Phase) -> char {
    match phase {
        Phase::Pending => '◷',
        Phase::Running => '◌',
        Phase::Successful => '✔',
        Phase::Failed => '✖',
        Phase::Error => '⚠',
        Phase::Inconclusive => '?',
    }
}

/// What stands before a part, and before what is below it.
fn branch(is_last: bool) -> (&'static str, &'static str) {
    if is_last {
        ("└──", "   ")
    } else {
        ("├──", "│  ")
    }
}

/// How long ago, as Kubernetes tells it: with two units while the larger one is small.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let pair = |large: i64, unit: char, small: i64, part: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{part}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        () if days < 2 => format!("{hours}h"),
        () if days < 8 => pair(days, 'd', hours % 24, 'h'),
        () => format!("{days}d"),
    }
}

#[derive(Debug, Default)]
struct Row {
    name: String,
    kind: &'static str,
    status: String,
    age: String,
    info: String,
}

fn table(out: &mut String, rows: Vec<Row>) {
    let head = ["NAME", "KIND", "STATUS", "AGE", "INFO"].map(str::to_owned);
    let rows = rows.into_iter().map(|row| {
        let Row {
            name,
            kind,
            status,
            age,
            info,
        } = row;
        [name, kind.to_owned(), status, age, info]
    });
    let cells: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let lengths = cells.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or_default()
    });
    for row in &cells {
        let padded: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{label:<LABEL$}{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_kubernetes() {
        let check = |seconds: i64, expected: &str| {
            let since = Timestamp::from_second(1_800_000_000).unwrap();
            let now = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            assert_eq!(age(since, now), expected, "{seconds}");
        };
        check(-5, "0s");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(125, "2m5s");
        check(600, "10m");
        check(10_799, "179m");
        check(10_800, "3h");
        check(14_340, "3h59m");
        check(28_800, "8h");
        check(172_799, "47h");
        check(172_800, "2d");
        check(176_400, "2d1h");
        check(691_200, "8d");
    }
}
