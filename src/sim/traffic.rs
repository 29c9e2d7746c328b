//! What happened: the requests that a service took, and the figures that an OAP makes of them.

use jiff::SignedDuration;

use super::script::{Behaviour, Service};

/// Apdex's T, in milliseconds: OAP's default for every service.
const APDEX_T: u32 = 500;

/// The precision of percentiles, in milliseconds.
const PERCENTILE_PRECISION: u32 = 10;

/// The ranks of `service_percentile`, in the order of OAP's labels 0 to 4.
pub(super) const RANKS: [u32; 5] = [50, 75, 90, 95, 99];

const MINUTE: i64 = 60_000;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// How long it took, in milliseconds.
    took: u32,
    succeeded: bool,
}

/// The requests that `service` took from `from` up to `to` (exclusive), in milliseconds since the epoch.
/// The script counts from `start`. The same arguments give the same requests, always.
pub(super) fn calls(service: &Service, start: i64, from: i64, to: i64) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut minute = from.div_euclid(MINUTE) * MINUTE;
    while minute < to {
        let scene = service.scene(since(start, minute));
        let count = calls_in_minute(scene.behaviour, scene.rate, minute / MINUTE);
        for i in 0..i64::from(count) {
            let at = minute + i * MINUTE / i64::from(count);
            if (from..to).contains(&at) {
                let behaviour = service.scene(since(start, at)).behaviour;
                calls.push(call(behaviour, jitter(service.name(), minute, i)));
            }
        }
        minute += MINUTE;
    }
    calls
}

fn since(start: i64, at: i64) -> SignedDuration {
    SignedDuration::from_millis(at.saturating_sub(start))
}

fn calls_in_minute(behaviour: Behaviour, rate: u32, minute: i64) -> u32 {
    match behaviour {
        Behaviour::Gappy if minute.rem_euclid(4) == 0 => 0,
        Behaviour::Rare => u32::from(minute.rem_euclid(10) == 0),
        Behaviour::Absent => 0,
        Behaviour::Healthy
        | Behaviour::Degraded
        | Behaviour::Frustrated
        | Behaviour::Gappy
        | Behaviour::Outage
        | Behaviour::Slow
        | Behaviour::Malformed => rate,
    }
}

fn call(behaviour: Behaviour, jitter: u64) -> Call {
    let between =
        |least: u64, most: u64| u32::try_from(least + jitter % (most - least)).unwrap_or(u32::MAX);
    match behaviour {
        Behaviour::Degraded => Call {
            took: between(400, 2_600),
            succeeded: !(jitter >> 32).is_multiple_of(5),
        },
        Behaviour::Frustrated => Call {
            took: between(2_501, 3_500),
            succeeded: true,
        },
        Behaviour::Healthy
        | Behaviour::Gappy
        | Behaviour::Rare
        | Behaviour::Absent
        | Behaviour::Outage
        | Behaviour::Slow
        | Behaviour::Malformed => Call {
            took: between(30, 160),
            succeeded: true,
        },
    }
}

/// A number that looks random and depends on nothing but its arguments: FNV-1a, then the finishing steps of `SplitMix64`.
fn jitter(name: &str, minute: i64, i: i64) -> u64 {
    let bytes = name
        .bytes()
        .chain(minute.to_le_bytes())
        .chain(i.to_le_bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A plain figure of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Calls a minute.
    Cpm,
    /// The mean response time in milliseconds.
    RespTime,
    /// The share of successes, times 10000.
    Sla,
    /// Apdex, times 10000.
    Apdex,
}

/// The figure of a bucket `minutes` wide; `None` where nothing was called. Whole numbers, as an OAP keeps them.
pub(super) fn figure(figure: Figure, calls: &[Call], minutes: i64) -> Option<i64> {
    let total = i64::try_from(calls.len()).unwrap_or(i64::MAX);
    if total == 0 {
        return None;
    }
    let count = |holds: &dyn Fn(&&Call) -> bool| {
        i64::try_from(calls.iter().filter(holds).count()).unwrap_or(i64::MAX)
    };
    Some(match figure {
        Figure::Cpm => total / minutes.max(1),
        Figure::RespTime => calls.iter().map(|call| i64::from(call.took)).sum::<i64>() / total,
        Figure::Sla => count(&|call| call.succeeded) * 10_000 / total,
        Figure::Apdex => {
            let satisfied = count(&|call| call.succeeded && call.took <= APDEX_T);
            let within_4t = count(&|call| call.succeeded && call.took <= 4 * APDEX_T);
            (satisfied * 10_000 + (within_4t - satisfied) * 5_000) / total
        }
    })
}

/// The percentiles of a bucket at [`RANKS`], in milliseconds; `None` where nothing was called.
pub(super) fn percentiles(calls: &[Call]) -> Option<[i64; 5]> {
    let mut slots: Vec<u32> = calls
        .iter()
        .map(|call| call.took / PERCENTILE_PRECISION)
        .collect();
    slots.sort_unstable();
    let total = slots.len();
    if total == 0 {
        return None;
    }
    Some(RANKS.map(|rank| {
        let reached = (total * rank as usize + 50) / 100;
        i64::from(slots[reached.clamp(1, total) - 1] * PERCENTILE_PRECISION)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T09:12:00Z, a minute that `gappy` skips.
    const GAP: i64 = 1_795_425_120_000;

    fn minute(script: &str, at: i64) -> Vec<Call> {
        calls(&script.parse().unwrap(), GAP, at, at + MINUTE)
    }

    #[test]
    fn requests_are_evenly_spread_and_always_the_same() {
        assert_eq!(minute("a=healthy", GAP).len(), 12);
        assert_eq!(minute("a=healthy", GAP), minute("a=healthy", GAP));
        assert_ne!(minute("a=healthy", GAP), minute("b=healthy", GAP));
        let a = "a=healthy".parse().unwrap();
        assert_eq!(calls(&a, GAP, GAP, GAP + 1).len(), 1);
        assert_eq!(calls(&a, GAP, GAP, GAP + 5_001).len(), 2);
        assert_eq!(calls(&a, GAP, GAP + 1, GAP + MINUTE).len(), 11);
    }

    #[test]
    fn gaps_fall_where_they_were_recorded() {
        let gaps: Vec<i64> = (0..8)
            .filter(|i| minute("a=gappy", GAP + i * MINUTE).is_empty())
            .collect();
        assert_eq!(gaps, [0, 4]);
        let asked: Vec<i64> = (0..20)
            .filter(|i| !minute("a=rare", GAP + i * MINUTE).is_empty())
            .collect();
        assert_eq!(asked, [8, 18]);
        assert!(minute("a=absent", GAP).is_empty());
    }

    #[test]
    fn figures_are_whole_numbers() {
        let call = |took, succeeded| Call { took, succeeded };
        let calls = [
            call(100, true),
            call(500, true),
            call(501, true),
            call(2_000, true),
            call(2_001, true),
            call(10, false),
        ];
        let check = |kind, expected| assert_eq!(figure(kind, &calls, 1), Some(expected));
        check(Figure::Cpm, 6);
        check(Figure::RespTime, 852);
        check(Figure::Sla, 8_333);
        check(Figure::Apdex, 5_000);
        assert_eq!(figure(Figure::Cpm, &calls, 60), Some(0));
        assert_eq!(figure(Figure::Apdex, &[], 1), None);
        assert_eq!(percentiles(&calls), Some([500, 2_000, 2_000, 2_000, 2_000]));
    }

    #[test]
    fn each_behaviour_has_the_figures_it_was_recorded_with() {
        let apdex = |script: &str, at| figure(Figure::Apdex, &minute(script, at), 1).unwrap();
        for i in 1..500 {
            let at = GAP + i * MINUTE;
            assert_eq!(apdex("a=healthy", at), 10_000);
            assert_eq!(apdex("a=frustrated", at), 0);
            assert!(apdex("a=degraded", at) < 9_000);
        }
    }

    #[test]
    fn a_service_can_turn_bad_within_a_minute() {
        let mixed = minute("a=degraded@30s", GAP);
        assert_eq!(mixed[..6], minute("a=healthy", GAP)[..6]);
        assert_eq!(mixed[6..], minute("a=degraded", GAP)[6..]);
    }
}
