//! From the bytes of an answer to what conditions see.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use serde_json::Value;

use super::fixtures::{Asked, expression_body, points, query_body};

const POINTS: [u64; 3] = [3, 60, 500];

/// A `query`, with the ids and the marks of gaps that are asked for in addition.
#[divan::bench(args = POINTS)]
fn query(bencher: Bencher<'_, '_>, count: u64) {
    let asked = Asked::about(count);
    let body = query_body(&asked.window);
    bencher
        .counter(BytesCount::of_str(&body))
        .bench(|| asked.decode_query(black_box(body.as_bytes())));
}

/// The numbers of the same bytes and nothing else.
#[divan::bench(args = POINTS)]
fn query_by_hand(bencher: Bencher<'_, '_>, count: u64) {
    let body = query_body(&Asked::about(count).window);
    bencher.counter(BytesCount::of_str(&body)).bench(|| {
        let answer: Value = serde_json::from_slice(black_box(body.as_bytes())).expect("JSON");
        let numbers = points(&answer).iter().map(|point| point["value"].as_f64());
        numbers.collect::<Option<Vec<f64>>>().expect("numbers")
    });
}

/// An `expression`.
#[divan::bench(args = POINTS)]
fn expression(bencher: Bencher<'_, '_>, count: u64) {
    let asked = Asked::about(count);
    let body = expression_body(&asked.window);
    bencher
        .counter(BytesCount::of_str(&body))
        .bench(|| asked.decode_expression(black_box(body.as_bytes())));
}
