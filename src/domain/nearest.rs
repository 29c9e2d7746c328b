//! "Did you mean": the name that is closest to one that nothing has.

/// Longer names are not compared: nobody mistypes them by hand, and comparing costs length times length.
const LONGEST: usize = 128;

/// The candidate that `name` was most likely meant to be; `None` where none is close enough to be worth naming.
///
/// Close enough is one slip (a letter added, left out, replaced, or two neighbours swapped) in every three letters. Case counts for nothing.
/// Of several that are equally close the first one is taken.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = folded(name)?;
    // Of a single letter every other one would be a slip away.
    let limit = name.len().div_ceil(3).min(name.len() - 1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = folded(candidate)?;
            let far = name.len().abs_diff(other.len()) > limit;
            let slips = if far {
                return None;
            } else {
                slips(&name, &other)
            };
            (slips <= limit).then_some((slips, candidate))
        })
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> Option<Vec<char>> {
    let folded: Vec<char> = name
        .chars()
        .take(LONGEST + 1)
        .flat_map(char::to_lowercase)
        .collect();
    (!folded.is_empty() && folded.len() <= LONGEST).then_some(folded)
}

/// The number of slips between two names (the "optimal string alignment" distance), three rows at a time.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_found() {
        const METRICS: [&str; 5] = [
            "service_apdex",
            "service_sla",
            "service_cpm",
            "service_resp_time",
            "endpoint_cpm",
        ];
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, METRICS), expected, "{name}");
        };
        check("service_apdx", Some("service_apdex"));
        check("service_adpex", Some("service_apdex"));
        check("Service_Apdex", Some("service_apdex"));
        check("service_cmp", Some("service_cpm"));
        check("service_response_time", Some("service_resp_time"));
        check("latency", None);
        check("", None);
        check(&"service_".repeat(10_000), None);
    }

    #[test]
    fn slips_are_counted() {
        let check = |a: &str, b: &str, expected| {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!(slips(&a, &b), expected);
            assert_eq!(slips(&b, &a), expected);
        };
        check("apdex", "apdex", 0);
        check("apdex", "adpex", 1);
        check("apdex", "apdx", 1);
        check("apdex", "", 5);
        check("sla", "cpm", 3);
    }
}
