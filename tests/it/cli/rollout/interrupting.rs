//! What asks a stepper to end, or takes away whoever it talks to.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::House;
use crate::cli::process::{Follow, Running, finish, wait};

#[test]
fn before_it_has_begun_it_ends_when_it_is_told_to() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    house.service.signal("STOP");
    for (signal, how, code, why) in [
        (
            "TERM",
            "hold",
            130,
            "error: interrupted before it was begun: nothing was moved",
        ),
        (
            "INT",
            "hold",
            130,
            "error: interrupted before it was begun: nothing was moved",
        ),
        (
            "HUP",
            "abort",
            4,
            "error: not aborted: interrupted before it was begun: nothing was moved",
        ),
    ] {
        let run = house.run(&["--revision", "v2", "--on-interrupt", how]);
        let run = Running::start(run, Follow::Stderr);
        run.line_with("waiting for http");
        run.signal(signal);
        assert_eq!(run.line_with("error: "), why, "{signal}");
        assert_eq!(run.end().0, Some(code), "{signal}");
    }
    // It would wait for a minute otherwise.
    let ended = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(5),
            "error: not begun at --timeout: nothing was moved\n"
        ),
        "{ended:?}"
    );
    house.service.signal("CONT");
    assert_eq!(house.weights(), (100, 0));
}

#[test]
fn whoever_watches_ends_with_its_reader() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let ended = finish(house.run(&["--revision", "v2", "--timeout", "1s"]), "");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let mut get = house.command(&["get", "reviews", "-n", "bookinfo", "--watch"]);
    let started = get
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut watch = started.spawn().expect("it starts");
    let lines = BufReader::new(watch.stdout.take().expect("it was piped")).lines();
    let paused = lines
        .map_while(Result::ok)
        .find(|line| line.contains("Paused"));
    assert!(paused.is_some());
    assert_eq!(wait(&mut watch, &get), Some(0));
    let stderr = std::io::read_to_string(watch.stderr.take().expect("it was piped"));
    assert_eq!(stderr.expect("text"), "");
}
