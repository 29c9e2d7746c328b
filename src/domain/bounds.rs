//! What a run may hold: measurements are kept whole as long as they are of a size that people read, and no run grows without end.

use super::measurement::{Decided, Explanation, Measurement};
use super::reading::{PathStep, Point, PointKind, Series};

/// The most points that the explanation of one measurement keeps, in all its series. A window has 501 buckets at most.
pub const MOST_POINTS: usize = 2_000;

/// The most series that an explanation keeps.
pub const MOST_SERIES: usize = 200;

/// The longest request or condition that an explanation keeps, in bytes.
pub const LONGEST_REQUEST: usize = 16 * 1024;

/// The longest name of a series that an explanation keeps, in bytes.
const LONGEST_NAME: usize = 1024;

/// How much the measurements of one run may weigh, by [`weight`]; its metrics have equal parts of it.
/// The newest measurement of a metric is always kept.
pub const MOST_WEIGHT: usize = 8 << 20;

/// Roughly how many bytes a measurement takes wherever it is kept.
pub fn weight(measurement: &Measurement) -> usize {
    const ITSELF: usize = 200;
    const POINT: usize = 24;
    let Measurement {
        message,
        value,
        explanation,
        ..
    } = measurement;
    let explained = explanation.as_ref().map_or(0, |why| {
        let series = why.series.iter();
        let decided = why.decided.as_ref();
        why.server.len()
            + why.request.len()
            + why.notes.iter().map(String::len).sum::<usize>()
            + series
                .map(|series| 2 * series.name.len() + POINT * series.points.len())
                .sum::<usize>()
            + decided.map_or(0, |decided| {
                decided.condition.len() + decided.reason.len() + POINT * decided.points.len()
            })
    });
    ITSELF + message.len() + value.len() + explained
}

/// Cuts what is longer than anybody reads out of an explanation, and says so in its notes. Whether the measurement is evidence stays as it is.
pub(super) fn trim(explanation: &mut Explanation) {
    cut(&mut explanation.request, LONGEST_REQUEST);
    if let Some(decided) = &mut explanation.decided {
        cut(&mut decided.condition, LONGEST_REQUEST);
        cut(&mut decided.reason, LONGEST_REQUEST);
    }
    let count = explanation.series.len();
    let read = points(&explanation.series);
    if count > MOST_SERIES || read > MOST_POINTS {
        let series = std::mem::take(&mut explanation.series);
        explanation.series = keep_some(&series, explanation.decided.as_mut());
        explanation.notes.push(format!(
            "{read} points in {count} series were read and judged; {} points in {} series of them are kept here",
            points(&explanation.series),
            explanation.series.len()
        ));
    }
    for series in &mut explanation.series {
        cut(&mut series.name, LONGEST_NAME);
        for step in series.path.iter_mut().flatten() {
            match step {
                PathStep::Key(key) => cut(key, LONGEST_NAME),
                PathStep::Index(_) => {}
            }
        }
    }
}

fn points(series: &[Series]) -> usize {
    series.iter().map(|series| series.points.len()).sum()
}

/// The newest points of the first series. What decided is told of those that are left.
fn keep_some(series: &[Series], decided: Option<&mut Decided>) -> Vec<Series> {
    let kept = kept_series(series);
    let quota = (MOST_POINTS / kept.len().max(1)).max(1);
    let kept: Vec<(usize, Vec<usize>)> = kept
        .into_iter()
        .map(|index| (index, kept_points(&series[index], quota)))
        .collect();
    if let Some(decided) = decided {
        let place = |(of, point): &(usize, usize)| {
            let series = kept.iter().position(|(index, _)| index == of)?;
            let point = kept[series].1.binary_search(point).ok()?;
            Some((series, point))
        };
        decided.points = decided.points.iter().filter_map(place).collect();
    }
    kept.into_iter()
        .map(|(index, indexes)| {
            let whole = &series[index];
            Series {
                name: whole.name.clone(),
                path: whole.path.clone(),
                points: indexes
                    .into_iter()
                    .map(|point| whole.points[point])
                    .collect(),
            }
        })
        .collect()
}

/// The first series; where only a later one is no evidence, that one in place of the last.
fn kept_series(series: &[Series]) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..series.len().min(MOST_SERIES)).collect();
    let doubtful = series.iter().position(|series| !series.is_evidence());
    if let (Some(doubtful), Some(last)) = (doubtful, kept.last_mut()) {
        *last = doubtful.max(*last);
    }
    kept
}

/// The newest points, in order; where only an older one is evidence, that one in place of the oldest of them.
fn kept_points(series: &Series, quota: usize) -> Vec<usize> {
    let first = series.points.len().saturating_sub(quota);
    let mut kept: Vec<usize> = (first..series.points.len()).collect();
    let evident = series.points.iter().rposition(is_evidence);
    if let (Some(evident), Some(oldest)) = (evident, kept.first_mut()) {
        *oldest = evident.min(*oldest);
    }
    kept
}

fn is_evidence(point: &Point) -> bool {
    match point.kind {
        PointKind::Data | PointKind::Unsettled => point.value.is_some(),
        PointKind::Gap | PointKind::Stale | PointKind::ZeroOrNothing => false,
    }
}

fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::super::measurement::{Phase, Side};
    use super::*;
    use jiff::Timestamp;

    fn series(points: usize, kind: impl Fn(usize) -> PointKind) -> Series {
        let point = |index| Point {
            at: Some(Timestamp::from_second(index).unwrap()),
            value: Some(1.0),
            kind: kind(usize::try_from(index).unwrap()),
        };
        let points = i64::try_from(points).unwrap();
        Series {
            name: "a".to_owned(),
            path: None,
            points: (0..points).map(point).collect(),
        }
    }

    fn measurement(series: Vec<Series>, decided: Vec<(usize, usize)>) -> Measurement {
        let why = Explanation {
            server: "oap".to_owned(),
            request: "x".repeat(20_000),
            window: None,
            skew: None,
            series,
            decided: Some(Decided {
                side: Side::Success,
                condition: "c".to_owned(),
                holds: true,
                reason: String::new(),
                points: decided,
            }),
            no_data: false,
            error: None,
            notes: Vec::new(),
        };
        Measurement {
            number: 1,
            phase: Phase::Successful,
            counts: true,
            message: String::new(),
            value: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            explanation: Some(Box::new(why)),
        }
    }

    /// The measurement trimmed: which seconds its series kept, what decided, and its note. Evidence stays what it was.
    fn check(
        series: Vec<Series>,
        decided: Vec<(usize, usize)>,
    ) -> (Vec<Vec<i64>>, Vec<(usize, usize)>, String) {
        let mut measurement = measurement(series, decided);
        let is_good = measurement.is_good();
        trim(measurement.explanation.as_mut().unwrap());
        assert_eq!(measurement.is_good(), is_good);
        assert!(weight(&measurement) < 100_000);
        let why = *measurement.explanation.unwrap();
        assert_eq!(why.request.chars().count(), LONGEST_REQUEST + 1);
        let seconds = |series: &Series| {
            let points = series.points.iter();
            points.map(|point| point.at.unwrap().as_second()).collect()
        };
        (
            why.series.iter().map(seconds).collect(),
            why.decided.unwrap().points,
            why.notes.join("; "),
        )
    }

    #[test]
    fn what_people_read_is_kept_whole() {
        let whole = vec![
            series(501, |_| PointKind::Data),
            series(501, |_| PointKind::Gap),
        ];
        let (kept, decided, note) = check(whole, vec![(1, 500)]);
        assert_eq!((kept[0].len(), kept[1].len()), (501, 501));
        assert_eq!((decided, note.as_str()), (vec![(1, 500)], ""));
    }

    #[test]
    fn of_many_points_the_newest_are_kept() {
        let many = vec![
            series(3_000, |_| PointKind::Data),
            series(1_200, |_| PointKind::Data),
        ];
        let (kept, decided, note) = check(many, vec![(0, 1), (0, 2_500), (1, 199), (1, 200)]);
        assert_eq!((kept[0].len(), kept[0][0]), (1_000, 2_000));
        assert_eq!((kept[1].len(), kept[1][0]), (1_000, 200));
        assert_eq!(decided, [(0, 500), (1, 0)]);
        assert_eq!(
            note,
            "4200 points in 2 series were read and judged; 2000 points in 2 series of them are kept here"
        );
    }

    #[test]
    fn evidence_stays_what_it_was() {
        let early = |at| {
            if at == 3 {
                PointKind::Data
            } else {
                PointKind::Gap
            }
        };
        let (kept, ..) = check(vec![series(3_000, early)], vec![]);
        assert_eq!((kept[0].len(), &kept[0][..2]), (2_000, &[3, 1_001][..]));

        let mut many = vec![series(1, |_| PointKind::Data); 300];
        assert_eq!(check(many.clone(), vec![]).0.len(), 200);
        many[250] = series(1, |_| PointKind::ZeroOrNothing);
        assert_eq!(check(many, vec![(250, 0)]).1, [(199, 0)]);
    }
}
