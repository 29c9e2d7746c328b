//! What asks a stepper to end, or takes away whoever it talks to.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::House;
use crate::cli::process::{finish, wait};

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
