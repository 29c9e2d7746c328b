//! From the text of a template to what a run needs, and to the window of a measurement.

use divan::{Bencher, black_box};
use jiff::tz::Offset;
use skygate::domain::args::Arguments;
use skygate::domain::query::Query;
use skygate::domain::spec::Provider;
use skygate::domain::window::Window;

use super::fixtures::{SERVICE, TEMPLATE, assemble, metric, now, plan, plan_of, read, window_of};

/// The example's query with its argument: rendered, parsed, checked.
#[divan::bench]
fn render(bencher: Bencher<'_, '_>) {
    let analysis = assemble(read(TEMPLATE));
    let [Provider::SkyWalking(provider)] = analysis.metrics[0].providers.as_slice() else {
        panic!("the example has one provider");
    };
    let template = provider.query.as_deref().expect("a query");
    let args: Arguments = [("service-name".to_owned(), SERVICE.to_owned())]
        .into_iter()
        .collect();
    bencher.bench(|| Query::render(black_box(template), &args).expect("a query"));
}

/// The example's file to a template.
#[divan::bench]
fn read_file() -> impl Sized {
    read(black_box(TEMPLATE))
}

/// A template to a plan.
#[divan::bench]
fn make_plan(bencher: Bencher<'_, '_>) {
    let analysis = assemble(read(TEMPLATE));
    bencher.bench(|| plan(black_box(&analysis), None));
}

/// All of it: what starting a run costs.
#[divan::bench]
fn file_to_plan() -> impl Sized {
    plan(&assemble(read(black_box(TEMPLATE))), None)
}

/// The buckets of a measurement.
#[divan::bench(args = [3, 500])]
fn choose_window(bencher: Bencher<'_, '_>, minutes: u64) {
    let plan = plan_of(minutes, None);
    let spec = metric(&plan).source.window;
    bencher.bench(|| Window::choose(&spec, black_box(now()), Offset::UTC, None));
}

/// The same where half of them belong to another version.
#[divan::bench(args = [4, 500])]
fn choose_window_not_before(bencher: Bencher<'_, '_>, minutes: u64) {
    let plan = plan_of(minutes, None);
    let spec = metric(&plan).source.window;
    let half = window_of(minutes / 2).first();
    bencher.bench(|| Window::choose(&spec, black_box(now()), Offset::UTC, Some(half)));
}

/// A window as it is sent.
#[divan::bench]
fn write_window(bencher: Bencher<'_, '_>) {
    let window = window_of(3);
    bencher.bench(|| (black_box(&window).start_text(), window.end_text()));
}
