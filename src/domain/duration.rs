//! Durations as Go writes them: `1m30s`.
//!
//! Templates hold durations in the text form of Go's `time.Duration`. The grammar, the range and the error texts are those of
//! `time.ParseDuration`, so that what Argo Rollouts accepts or refuses is accepted or refused here.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// A signed span of time in nanoseconds, up to about 292 years either way: Go's `time.Duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// What to tell somebody whose duration cannot be read.
pub const DURATION_HINT: &str = "durations are written 90s, 5m or 1h30m";

/// Why a text is no duration, in Go's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a duration at all, or one that is out of range.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit that Go doesn't have: it has no days.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl GoDuration {
    /// The duration of so many nanoseconds.
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Its length in nanoseconds.
    pub fn as_nanos(self) -> i64 {
        self.0
    }

    /// The same as an unsigned duration; `None` where it is negative.
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }

    /// Reads Go's text form: an optional sign, then numbers with an optional fraction and a unit
    /// (`ns`, `us` or `µs`, `ms`, `s`, `m`, `h`), or a plain `0`.
    ///
    /// ```
    /// # use skygate::domain::duration::GoDuration;
    /// assert_eq!(GoDuration::parse("1.5h").unwrap().to_string(), "1h30m0s");
    /// assert!(GoDuration::parse("1d").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned == "0" {
            return Ok(Self(0));
        }
        let invalid = || DurationError::Invalid(text.to_owned());
        if unsigned.is_empty() {
            return Err(invalid());
        }

        let mut total: u64 = 0;
        let mut rest = unsigned;
        while !rest.is_empty() {
            let (nanos, after) = parse_component(rest, text)?;
            total = total
                .checked_add(nanos)
                .filter(|total| *total <= LIMIT)
                .ok_or_else(invalid)?;
            rest = after;
        }
        // The most negative duration has no positive counterpart.
        if negative {
            return Ok(Self(0_i64.wrapping_sub_unsigned(total)));
        }
        i64::try_from(total).map(Self).map_err(|_| invalid())
    }
}

/// Go's `String()`: `1h30m0s`, `1.5s`, `300ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_char('-')?;
        }
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < MICROSECOND {
            return write!(f, "{nanos}ns");
        }
        if nanos < MILLISECOND {
            return write_decimal(f, nanos, MICROSECOND, "µs");
        }
        if nanos < SECOND {
            return write_decimal(f, nanos, MILLISECOND, "ms");
        }
        let (hours, minutes) = (nanos / HOUR, nanos % HOUR / MINUTE);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write_decimal(f, nanos % MINUTE, SECOND, "s")
    }
}

/// `duration` in Go's form without the trailing zeros that people don't write: `5m`, not `5m0s`.
pub fn short(duration: Duration) -> String {
    let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let text = GoDuration(nanos).to_string();
    let text = match text.strip_suffix("m0s") {
        Some(minutes) => format!("{minutes}m"),
        None => text,
    };
    match text.strip_suffix("h0m") {
        Some(hours) => format!("{hours}h"),
        None => text,
    }
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// 2^63: what Go's sums may reach before the sign is looked at.
const LIMIT: u64 = 1 << 63;

/// Reads one number with its unit from the start of `rest`; `text` is the whole, for the error.
fn parse_component<'a>(rest: &'a str, text: &str) -> Result<(u64, &'a str), DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());

    let (digits, after) = split_digits(rest);
    let whole = parse_whole(digits).ok_or_else(invalid)?;
    let (fraction_digits, after) = match after.strip_prefix('.') {
        Some(after) => split_digits(after),
        None => ("", after),
    };
    if digits.is_empty() && fraction_digits.is_empty() {
        return Err(invalid());
    }

    let end = after
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(after.len());
    let (unit, after) = after.split_at(end);
    let unit = match unit {
        "ns" => 1,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "" => return Err(DurationError::MissingUnit(text.to_owned())),
        _ => {
            return Err(DurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }
    };

    let nanos = whole
        .checked_mul(unit)
        .and_then(|nanos| nanos.checked_add(fraction_of(fraction_digits, unit)))
        .filter(|nanos| *nanos <= LIMIT)
        .ok_or_else(invalid)?;
    Ok((nanos, after))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The number that `digits` write, 0 for none; `None` above Go's limit.
fn parse_whole(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))
            .filter(|number| *number <= LIMIT)
    })
}

/// The nanoseconds in the fraction `0.digits` of `unit`, computed in doubles as Go does; digits beyond 63 bits don't count.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes the fraction in doubles too, and it is less than `unit`"
)]
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut number = 0_u64;
    let mut scale = 1.0_f64;
    for digit in digits.bytes() {
        let longer = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit - b'0')))
            .filter(|number| *number < LIMIT);
        let Some(longer) = longer else { break };
        number = longer;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

/// Writes `nanos` in `unit` with as many decimals as it needs.
fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    let fraction = nanos % unit;
    if fraction > 0 {
        let width = unit.ilog10() as usize;
        let digits = format!("{fraction:0width$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

/// Go's quoting in these errors: all but printable ASCII as `\x..`. Long texts are cut, which Go doesn't.
fn quote(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut quoted = String::from("\"");
    for byte in text.bytes().take(LONGEST) {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' | 0x7f => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    if text.len() > LONGEST {
        quoted.push('…');
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &str, expected: &str) {
        let printed = match GoDuration::parse(input) {
            Ok(duration) => duration.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(printed, expected, "for `{input}`");
    }

    #[test]
    fn reads_what_go_reads() {
        check("0", "0s");
        check("-0", "0s");
        check("5s", "5s");
        check("30m", "30m0s");
        check("1h30m", "1h30m0s");
        check("1.5h", "1h30m0s");
        check("-1.5h", "-1h30m0s");
        check("+5s", "5s");
        check(".5s", "500ms");
        check("5.s", "5s");
        check("1us", "1µs");
        check("1\u{b5}s", "1µs");
        check("1\u{3bc}s", "1µs");
        check("1500us", "1.5ms");
        check("10ns", "10ns");
        check("0.100000000000000000000h", "6m0s");
        check("9007199254.740993s", "2501999h47m34.740993s");
        check("2562047h47m16.854775807s", "2562047h47m16.854775807s");
        check("-2562047h47m16.854775808s", "-2562047h47m16.854775808s");
        check("0.9223372036854775807h", "55m20.413933267s");
    }

    #[test]
    fn refuses_in_gos_words() {
        check("", r#"time: invalid duration """#);
        check("s", r#"time: invalid duration "s""#);
        check("-", r#"time: invalid duration "-""#);
        check(".s", r#"time: invalid duration ".s""#);
        check(" 5s", r#"time: invalid duration " 5s""#);
        check("10", r#"time: missing unit in duration "10""#);
        check("1m30", r#"time: missing unit in duration "1m30""#);
        check("1d", r#"time: unknown unit "d" in duration "1d""#);
        check("5S", r#"time: unknown unit "S" in duration "5S""#);
        check("1e3s", r#"time: unknown unit "e" in duration "1e3s""#);
        check("1\"s", r#"time: unknown unit "\"s" in duration "1\"s""#);
        check(
            "1日",
            r#"time: unknown unit "\xe6\x97\xa5" in duration "1\xe6\x97\xa5""#,
        );
        check("PT5M", r#"time: invalid duration "PT5M""#);
        check("2562048h", r#"time: invalid duration "2562048h""#);
        check(
            "9223372036854775808ns",
            r#"time: invalid duration "9223372036854775808ns""#,
        );
        check(
            "9999999999999999999999s",
            r#"time: invalid duration "9999999999999999999999s""#,
        );
    }

    #[test]
    fn a_megabyte_is_refused_briefly() {
        let error = GoDuration::parse(&"x".repeat(1 << 20)).unwrap_err();
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn short_forms_are_those_that_people_write() {
        let check = |text: &str| {
            let duration = GoDuration::parse(text).unwrap().to_std().unwrap();
            assert_eq!(short(duration), text);
        };
        check("5m");
        check("1h");
        check("1h5m");
        check("1h0m5s");
        check("90ms");
        check("10m10s");
        check("0s");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos: i64) {
            let duration = GoDuration::from_nanos(nanos);
            prop_assert_eq!(GoDuration::parse(&duration.to_string()), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[-+.0-9nuµmsh ]{0,24}") {
            let _ = GoDuration::parse(&text).map(|duration| duration.to_string());
        }
    }
}
