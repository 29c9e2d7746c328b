//! Which buckets a measurement asks for.
//!
//! An OAP keeps one bucket a step (a minute, an hour, a day) in its own time zone and rewrites the newest ones with every
//! flush: for up to a minute and a half a bucket may be absent, then partial. A window therefore ends where data has settled,
//! on the OAP's clock, and is written in the OAP's zone. Both of its ends are inclusive.
//! Source of the rules: SkyWalking's `DurationUtils` (formats, the cap) and `PersistenceTimer` (when a bucket is complete).

use std::fmt;
use std::time::Duration;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// The most buckets that an OAP answers for: the difference between start and end may be 500 steps, and both count.
pub const MAX_BUCKETS: u64 = 501;

/// The width of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// One minute.
    #[default]
    Minute,
    /// One hour of the OAP's local time.
    Hour,
    /// One day of the OAP's local time.
    Day,
}

impl Step {
    /// The width of one bucket.
    pub fn width(self) -> Duration {
        Duration::from_secs(self.seconds().unsigned_abs())
    }

    /// How long ago a bucket must have ended to count as settled, where the template doesn't say.
    ///
    /// Minutes are flushed about every 25 s, and Elasticsearch shows a flush up to 30 s later; hours and days are flushed every fourth round.
    pub fn default_settle(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(90),
            Self::Hour | Self::Day => Duration::from_mins(5),
        }
    }

    /// OAP's name for it: `MINUTE`, `HOUR`, `DAY`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "MINUTE",
            Self::Hour => "HOUR",
            Self::Day => "DAY",
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Minute => "%Y-%m-%d %H%M",
            Self::Hour => "%Y-%m-%d %H",
            Self::Day => "%Y-%m-%d",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a template says about its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    /// How much time the window covers; rounded up to whole buckets.
    pub interval: Duration,
    /// The width of a bucket.
    pub step: Step,
    /// How long ago the newest bucket must have ended. Zero asks for Argo's window: from now minus the interval to now, the unfinished bucket included.
    pub settle: Duration,
}

impl WindowSpec {
    /// How many buckets a window of this kind holds before any are left out as stale.
    pub fn buckets(&self) -> u64 {
        let width = self.step.width().as_nanos();
        let whole = u64::try_from(self.interval.as_nanos().div_ceil(width))
            .unwrap_or(u64::MAX)
            .max(1);
        if self.settle.is_zero() {
            whole.saturating_add(1)
        } else {
            whole
        }
    }
}

/// The OAP's clock and zone, as `getTimeInfo` told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OapTime {
    /// Its zone's offset at that moment.
    pub zone: Offset,
    /// How far its clock is ahead of ours; negative where it is behind.
    pub skew: SignedDuration,
}

impl OapTime {
    /// What the OAP's clock shows at our `now`.
    pub fn at(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.skew).unwrap_or(now)
    }
}

/// A window that can be asked for: never empty, never over [`MAX_BUCKETS`] where its [`WindowSpec`] isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    first: Timestamp,
    last: Timestamp,
    step: Step,
    zone: Offset,
    settled_until: Timestamp,
}

/// What a window consists of, for whoever keeps one and wants it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowParts {
    /// The start of the first bucket.
    pub first: Timestamp,
    /// The start of the last bucket.
    pub last: Timestamp,
    /// The width of its buckets.
    pub step: Step,
    /// The OAP's zone.
    pub zone: Offset,
    /// The moment until which buckets had settled.
    pub settled_until: Timestamp,
}

/// The answer to "which buckets?": some to ask for, and some that belong to the time before the version took traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What to ask for; `None` where every bucket would be stale.
    pub window: Option<Window>,
    /// The starts of the buckets left out because they began before `not_before`, oldest first.
    pub stale: Vec<Timestamp>,
}

impl Window {
    /// Chooses the buckets for `spec` at `oap_now`, which is the OAP's clock, in the OAP's `zone`.
    /// Buckets that began before `not_before` (also on the OAP's clock) are left out as stale.
    pub fn choose(
        spec: &WindowSpec,
        oap_now: Timestamp,
        zone: Offset,
        not_before: Option<Timestamp>,
    ) -> Choice {
        let unit = spec.step.seconds();
        let local = Local {
            unit,
            offset: i64::from(zone.seconds()),
        };
        let settle = i64::try_from(spec.settle.as_secs()).unwrap_or(i64::MAX / 4)
            + i64::from(spec.settle.subsec_nanos() > 0);
        let interval = i64::try_from(spec.interval.as_secs()).unwrap_or(i64::MAX / 4);
        let now = oap_now.as_second();

        let (first, last) = if spec.settle.is_zero() {
            (local.floor(now - interval), local.floor(now))
        } else {
            let last = local.floor(now - settle) - unit;
            let count = i64::try_from(spec.buckets()).unwrap_or(i64::MAX / unit / 4);
            (last - (count - 1) * unit, last)
        };
        let start = not_before.map_or(first, |moment| first.max(local.ceil(moment)));
        let at = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MIN);

        // With `settle: 0s` the author takes what is there, but a person who asks why is still told which buckets were unfinished.
        let settled = spec.settle.max(spec.step.default_settle());
        let settled_until = oap_now.checked_sub(settled).unwrap_or(Timestamp::MIN);
        let window = (start <= last).then(|| Self {
            first: at(start),
            last: at(last),
            step: spec.step,
            zone,
            settled_until,
        });
        let stale = (first..start.min(last + unit))
            .step_by(usize::try_from(unit).unwrap_or(usize::MAX))
            .map(at)
            .collect();
        Choice { window, stale }
    }

    /// The window of the buckets from `first` to `last`, as it was once chosen: for whoever is told of it afterwards.
    /// Which of them had settled by then is not known any more: none counts as settled.
    pub fn told(first: Timestamp, last: Timestamp, step: Step, zone: Offset) -> Self {
        Self {
            first,
            last: last.max(first),
            step,
            zone,
            settled_until: Timestamp::MIN,
        }
    }

    /// The same buckets, read at another moment of the OAP's clock than the one they were chosen for.
    #[must_use]
    pub fn read_at(self, oap_now: Timestamp) -> Self {
        let settled_until = oap_now
            .checked_sub(self.step.default_settle())
            .unwrap_or(Timestamp::MIN);
        Self {
            settled_until,
            ..self
        }
    }

    /// What it consists of.
    pub fn parts(&self) -> WindowParts {
        let Self {
            first,
            last,
            step,
            zone,
            settled_until,
        } = *self;
        WindowParts {
            first,
            last,
            step,
            zone,
            settled_until,
        }
    }

    /// The window that consisted of these; `None` where they are no window's: one has at least one bucket.
    pub fn of_parts(parts: WindowParts) -> Option<Self> {
        let WindowParts {
            first,
            last,
            step,
            zone,
            settled_until,
        } = parts;
        (first <= last).then_some(Self {
            first,
            last,
            step,
            zone,
            settled_until,
        })
    }

    /// The start of the first bucket.
    pub fn first(&self) -> Timestamp {
        self.first
    }

    /// The start of the last bucket.
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// The moment at which the last bucket ends.
    pub fn end(&self) -> Timestamp {
        self.last
            .checked_add(self.step.width())
            .unwrap_or(Timestamp::MAX)
    }

    /// The width of its buckets.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The OAP's zone, in which the window is written.
    pub fn zone(&self) -> Offset {
        self.zone
    }

    /// The starts of its buckets, oldest first.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = Timestamp> + use<> {
        let (first, unit) = (self.first.as_second(), self.step.seconds());
        let count = usize::try_from((self.last.as_second() - first) / unit + 1).unwrap_or(0);
        (0..count).map(move |i| {
            Timestamp::from_second(first + i64::try_from(i).unwrap_or(0) * unit)
                .unwrap_or(Timestamp::MAX)
        })
    }

    /// Whether the bucket that starts at `bucket` had settled when the window was chosen.
    pub fn is_settled(&self, bucket: Timestamp) -> bool {
        bucket
            .checked_add(self.step.width())
            .is_ok_and(|end| end <= self.settled_until)
    }

    /// OAP's `Duration.start`, in its zone.
    pub fn start_text(&self) -> String {
        self.write(self.first)
    }

    /// OAP's `Duration.end`, in its zone; inclusive.
    pub fn end_text(&self) -> String {
        self.write(self.last)
    }

    fn write(&self, bucket: Timestamp) -> String {
        self.zone
            .to_datetime(bucket)
            .strftime(self.step.format())
            .to_string()
    }
}

/// Seconds cut into buckets of a zone's local time.
struct Local {
    unit: i64,
    offset: i64,
}

impl Local {
    fn floor(&self, second: i64) -> i64 {
        (second + self.offset).div_euclid(self.unit) * self.unit - self.offset
    }

    fn ceil(&self, moment: Timestamp) -> i64 {
        let whole = moment.as_second() + i64::from(moment.subsec_nanosecond() > 0);
        self.floor(whole + self.unit - 1)
    }
}

/// Reads `getTimeInfo.timezone`, `+hhmm` or `-hhmm`; half hours and quarters included.
pub fn parse_zone(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    if minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `check(now, zone, interval, step, settle, not_before)` writes the window as an OAP would read it, then the stale buckets.
    fn check(
        now: &str,
        zone: &str,
        interval: &str,
        step: Step,
        settle: u64,
        not_before: Option<&str>,
    ) -> String {
        let minutes = |text: &str| Duration::from_secs(text.parse::<u64>().unwrap());
        let spec = WindowSpec {
            interval: minutes(interval),
            step,
            settle: Duration::from_secs(settle),
        };
        let not_before = not_before.map(|at| at.parse().unwrap());
        let choice = Window::choose(
            &spec,
            now.parse().unwrap(),
            parse_zone(zone).unwrap(),
            not_before,
        );
        let window = choice.window.map_or_else(
            || "nothing".to_owned(),
            |w| {
                format!(
                    "{}..{} ({})",
                    w.start_text(),
                    w.end_text(),
                    w.buckets().len()
                )
            },
        );
        if choice.stale.is_empty() {
            window
        } else {
            format!("{window}, {} stale", choice.stale.len())
        }
    }

    #[test]
    fn the_newest_settled_minutes() {
        let at = |now| check(now, "+0000", "180", Step::Minute, 90, None);
        assert_eq!(
            at("2026-11-23T09:12:29Z"),
            "2026-11-23 0907..2026-11-23 0909 (3)"
        );
        assert_eq!(
            at("2026-11-23T09:12:29.999Z"),
            "2026-11-23 0907..2026-11-23 0909 (3)"
        );
        // 09:11:00 is 90 s ago: the bucket of 09:10 ended exactly then.
        assert_eq!(
            at("2026-11-23T09:12:30Z"),
            "2026-11-23 0908..2026-11-23 0910 (3)"
        );
        assert_eq!(
            at("2026-11-23T09:13:29Z"),
            "2026-11-23 0908..2026-11-23 0910 (3)"
        );
    }

    #[test]
    fn argos_window_has_one_bucket_more_and_the_unfinished_one() {
        assert_eq!(
            check(
                "2026-11-23T09:12:17Z",
                "+0000",
                "180",
                Step::Minute,
                0,
                None
            ),
            "2026-11-23 0909..2026-11-23 0912 (4)"
        );
    }

    #[test]
    fn written_in_the_zone_of_the_oap() {
        let at = |zone| check("2026-11-23T09:24:06Z", zone, "180", Step::Minute, 90, None);
        assert_eq!(at("+0530"), "2026-11-23 1449..2026-11-23 1451 (3)");
        assert_eq!(at("-0330"), "2026-11-23 0549..2026-11-23 0551 (3)");
        assert_eq!(at("+1345"), "2026-11-23 2304..2026-11-23 2306 (3)");
        assert_eq!(at("-1000"), "2026-11-22 2319..2026-11-22 2321 (3)");
    }

    #[test]
    fn hours_and_days_are_the_oaps_own() {
        let at = |now, step, interval| check(now, "+0530", interval, step, 300, None);
        // 14:54 there: the hour of 13 has ended long ago.
        assert_eq!(
            at("2026-11-23T09:24:06Z", Step::Hour, "7200"),
            "2026-11-23 12..2026-11-23 13 (2)"
        );
        // 14:04 there: the hour of 13 ended four minutes ago and hasn't settled.
        assert_eq!(
            at("2026-11-23T08:34:00Z", Step::Hour, "7200"),
            "2026-11-23 11..2026-11-23 12 (2)"
        );
        assert_eq!(
            at("2026-11-23T18:40:00Z", Step::Day, "86400"),
            "2026-11-23..2026-11-23 (1)"
        );
        assert_eq!(
            at("2026-11-23T18:29:59Z", Step::Day, "172800"),
            "2026-11-21..2026-11-22 (2)"
        );
    }

    #[test]
    fn intervals_round_up_to_whole_buckets() {
        let at = |interval| {
            check(
                "2026-11-23T09:12:30Z",
                "+0000",
                interval,
                Step::Minute,
                90,
                None,
            )
        };
        assert_eq!(at("1"), "2026-11-23 0910..2026-11-23 0910 (1)");
        assert_eq!(at("60"), "2026-11-23 0910..2026-11-23 0910 (1)");
        assert_eq!(at("61"), "2026-11-23 0909..2026-11-23 0910 (2)");
        assert_eq!(at("30060"), "2026-11-23 0050..2026-11-23 0910 (501)");
    }

    #[test]
    fn buckets_of_another_version_are_left_out() {
        let at = |not_before| {
            check(
                "2026-11-23T09:12:30Z",
                "+0000",
                "180",
                Step::Minute,
                90,
                Some(not_before),
            )
        };
        assert_eq!(
            at("2026-11-23T09:00:00Z"),
            "2026-11-23 0908..2026-11-23 0910 (3)"
        );
        assert_eq!(
            at("2026-11-23T09:08:00Z"),
            "2026-11-23 0908..2026-11-23 0910 (3)"
        );
        assert_eq!(
            at("2026-11-23T09:08:00.001Z"),
            "2026-11-23 0909..2026-11-23 0910 (2), 1 stale"
        );
        assert_eq!(
            at("2026-11-23T09:09:59Z"),
            "2026-11-23 0910..2026-11-23 0910 (1), 2 stale"
        );
        assert_eq!(at("2026-11-23T09:12:00Z"), "nothing, 3 stale");
    }

    #[test]
    fn an_unfinished_bucket_is_told_apart_even_in_argos_window() {
        let spec = WindowSpec {
            interval: Duration::from_mins(3),
            step: Step::Minute,
            settle: Duration::ZERO,
        };
        let choice = Window::choose(
            &spec,
            "2026-11-23T09:12:17Z".parse().unwrap(),
            Offset::UTC,
            None,
        );
        let window = choice.window.unwrap();
        let settled: Vec<bool> = window
            .buckets()
            .map(|bucket| window.is_settled(bucket))
            .collect();
        assert_eq!(settled, [true, false, false, false]);
    }

    #[test]
    fn zones_as_an_oap_writes_them() {
        let check =
            |text, seconds| assert_eq!(parse_zone(text).map(Offset::seconds), seconds, "{text}");
        check("+0000", Some(0));
        check("+0530", Some(19_800));
        check("-0330", Some(-12_600));
        check("+1400", Some(50_400));
        for text in ["", "+", "0000", "+05:30", "+053", "+0560", "Z", "+05é"] {
            check(text, None);
        }
    }
}
