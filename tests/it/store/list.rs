//! Finding runs among others.

use std::collections::BTreeMap;

use skygate::domain::measurement::Phase;
use skygate::domain::run::Run;
use skygate::ports::{Cursor, RunQuery};

use super::{Shelf, assert_same, ids, nanoseconds, new_run, on_every_store};
use crate::harness::at;

on_every_store!(
    the_newest_come_first,
    every_filter_filters,
    pages_follow_one_another,
    a_page_goes_on_where_its_cursor_was_even_if_that_run_is_gone,
);

async fn list(shelf: &Shelf, query: RunQuery) -> Vec<Run> {
    shelf.runs().list(&query).await.expect("a working store")
}

async fn the_newest_come_first(mut shelf: Shelf) {
    for (id, created) in [("b", 1_000), ("a", 1_000), ("d", 999), ("c", 1_001)] {
        let mut run = new_run(id, 0);
        run.created_at = nanoseconds(created);
        shelf.insert(&run).await;
    }
    shelf.step();
    let runs = list(&shelf, RunQuery::default()).await;
    assert_eq!(ids(&runs), ["c", "b", "a", "d"]);
    assert_same(&runs[3], &shelf.get("d").await.expect("as it should be"));
}

/// Twelve runs that differ in everything that can be asked for.
async fn shelf_of_twelve(shelf: &mut Shelf) {
    const PHASES: [Phase; 6] = [
        Phase::Pending,
        Phase::Running,
        Phase::Successful,
        Phase::Failed,
        Phase::Error,
        Phase::Inconclusive,
    ];
    for n in 0..12 {
        let mut run = new_run(&format!("r{n:02}"), 10 * n);
        let n = usize::try_from(n).expect("as it should be");
        ["one", "two"][n % 2].clone_into(&mut run.namespace);
        run.name = format!("analysis-r{n:02}");
        run.phase = PHASES[n % 6];
        run.completed_at = run.phase.is_over().then(|| at(1_000));
        if n % 3 == 0 {
            run.templates = vec!["apdex".to_owned(), "clustertemplates/errors".to_owned()];
        }
        run.labels.insert("n".to_owned(), n.to_string());
        run.labels.insert("half".to_owned(), (n >= 6).to_string());
        shelf.insert(&run).await;
    }
    shelf.step();
}

async fn every_filter_filters(mut shelf: Shelf) {
    shelf_of_twelve(&mut shelf).await;
    let labels = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        labels.iter().map(own).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    let cases: Vec<(RunQuery, &str)> = vec![
        (
            RunQuery::default(),
            "r11 r10 r09 r08 r07 r06 r05 r04 r03 r02 r01 r00",
        ),
        (
            RunQuery {
                namespace: text("two"),
                ..RunQuery::default()
            },
            "r11 r09 r07 r05 r03 r01",
        ),
        (
            RunQuery {
                namespace: text("three"),
                ..RunQuery::default()
            },
            "",
        ),
        (
            RunQuery {
                template: text("apdex"),
                ..RunQuery::default()
            },
            "r09 r06 r03 r00",
        ),
        (
            RunQuery {
                template: text("clustertemplates/errors"),
                namespace: text("one"),
                ..RunQuery::default()
            },
            "r06 r00",
        ),
        (
            RunQuery {
                template: text("errors"),
                ..RunQuery::default()
            },
            "",
        ),
        (
            RunQuery {
                phases: vec![Phase::Running],
                ..RunQuery::default()
            },
            "r07 r01",
        ),
        (
            RunQuery {
                phases: vec![Phase::Error, Phase::Pending],
                ..RunQuery::default()
            },
            "r10 r06 r04 r00",
        ),
        (
            RunQuery {
                labels: labels(&[("half", "true")]),
                ..RunQuery::default()
            },
            "r11 r10 r09 r08 r07 r06",
        ),
        (
            RunQuery {
                labels: labels(&[("half", "true"), ("n", "7")]),
                ..RunQuery::default()
            },
            "r07",
        ),
        (
            RunQuery {
                labels: labels(&[("n", "true")]),
                ..RunQuery::default()
            },
            "",
        ),
        (
            RunQuery {
                to: Some(at(60)),
                ..RunQuery::default()
            },
            "r05 r04 r03 r02 r01 r00",
        ),
        // What is over by then is left out, what is under way is not.
        (
            RunQuery {
                from: Some(at(1_000)),
                to: Some(at(60)),
                ..RunQuery::default()
            },
            "r05 r04 r03 r02 r01 r00",
        ),
        (
            RunQuery {
                from: Some(at(1_001)),
                ..RunQuery::default()
            },
            "r07 r06 r01 r00",
        ),
        (
            RunQuery {
                from: Some(at(1_001)),
                to: Some(at(60)),
                phases: vec![Phase::Running, Phase::Failed],
                ..RunQuery::default()
            },
            "r01",
        ),
        (
            RunQuery {
                name: text("analysis-r04"),
                ..RunQuery::default()
            },
            "r04",
        ),
        (
            RunQuery {
                name: text("analysis-r04"),
                namespace: text("two"),
                ..RunQuery::default()
            },
            "",
        ),
        (
            RunQuery {
                limit: 2,
                ..RunQuery::default()
            },
            "r11 r10",
        ),
        (
            RunQuery {
                limit: 0,
                ..RunQuery::default()
            },
            "",
        ),
        (
            RunQuery {
                namespace: text("one"),
                template: text("apdex"),
                name: None,
                phases: vec![Phase::Pending, Phase::Successful],
                labels: labels(&[("half", "true")]),
                from: Some(at(1)),
                to: Some(at(100)),
                after: None,
                limit: 5,
            },
            "r06",
        ),
    ];
    for (query, expected) in cases {
        let found = list(&shelf, query.clone()).await;
        assert_eq!(ids(&found).join(" "), expected, "{query:?}");
        assert!(found.iter().all(|run| query.describes(run)), "{query:?}");
    }
}

async fn pages_follow_one_another(mut shelf: Shelf) {
    shelf_of_twelve(&mut shelf).await;
    // Five more of the same moment.
    for id in ["x1", "x2", "x3", "x4", "x5"] {
        shelf.insert(&new_run(id, 30)).await;
    }
    for (namespace, count) in [(None, 17), (Some("two".to_owned()), 6)] {
        let mut query = RunQuery {
            namespace,
            limit: 2,
            ..RunQuery::default()
        };
        let whole = RunQuery {
            limit: 100,
            ..query.clone()
        };
        let whole = list(&shelf, whole).await;
        assert_eq!(whole.len(), count);
        let mut paged = Vec::new();
        loop {
            let page = list(&shelf, query.clone()).await;
            let Some(last) = page.last() else { break };
            query.after = Some(Cursor::of(last));
            paged.extend(page);
        }
        assert_eq!(ids(&paged), ids(&whole));
    }
}

async fn a_page_goes_on_where_its_cursor_was_even_if_that_run_is_gone(mut shelf: Shelf) {
    shelf_of_twelve(&mut shelf).await;
    let page = list(
        &shelf,
        RunQuery {
            limit: 3,
            ..RunQuery::default()
        },
    )
    .await;
    shelf
        .runs()
        .delete(&page[2].id)
        .await
        .expect("as it should be");
    shelf.insert(&new_run("new", 5_000)).await;
    let query = RunQuery {
        after: Some(Cursor::of(&page[2])),
        limit: 2,
        ..RunQuery::default()
    };
    assert_eq!(ids(&list(&shelf, query).await), ["r08", "r07"]);
}
