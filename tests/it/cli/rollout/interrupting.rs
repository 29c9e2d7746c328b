//! What asks a stepper to end, or takes away whoever it talks to.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use super::House;
use crate::cli::process::{Follow, LIMIT, Running, finish, prepared, wait};

/// An `ssh` session that drops takes the terminal along.
#[test]
fn a_terminal_that_is_gone_is_an_interrupt() {
    for (how, code, weights) in [("hold", 130, (90, 10)), ("abort", 1, (100, 0))] {
        let house = House::with_steps("{setWeight: 10}, {pause: {}}");
        let run = house.run(&["--revision", "v2", "--on-interrupt", how]);
        let run = Running::start(run, Follow::Stderr);
        run.line_with("weight 10: Paused");
        run.signal("HUP");
        let (ended, stdout) = run.end();
        assert_eq!(ended, Some(code), "{how}: {stdout}");
        assert_eq!(house.weights(), weights, "{how}");
    }
}

/// Both the system and the shell tell of it: nobody is impatient by that.
#[test]
fn a_terminal_that_is_gone_interrupts_once() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}");
    let run = house.run(&["--revision", "v2", "--on-interrupt", "abort"]);
    let run = Running::start(run, Follow::Stderr);
    run.line_with("weight 10: Paused");
    // Nobody can set a weight for now.
    let routes = house.read("routes.yaml");
    house.write("routes.yaml", "a: [");
    run.signal("HUP");
    run.line_with("the weight cannot be set");
    run.signal("HUP");
    run.signal("HUP");
    // Longer than whoever is impatient waits.
    std::thread::sleep(std::time::Duration::from_secs(2));
    house.write("routes.yaml", &routes);
    let (ended, stdout) = run.end();
    assert_eq!(ended, Some(1), "{stdout}");
    assert_eq!(house.weights(), (100, 0));
}

#[test]
fn nohup_keeps_it_going() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}");
    let run = house.run(&["--revision", "v2"]);
    let mut command = std::process::Command::new("nohup");
    command.arg(run.get_program()).args(run.get_args());
    let mut command = prepared(command);
    command
        .current_dir(house.path())
        .env("SKYGATE_SERVER", &house.url);
    let run = Running::start(command, Follow::Stderr);
    run.line_with("weight 10: Paused");
    run.signal("HUP");
    assert_eq!(house.done(&["promote"]).code, Some(0));
    run.line_with("weight 20: Paused");
    run.signal("TERM");
    assert_eq!(run.end().0, Some(130));
}

/// A service that takes connections and answers nothing is waited for at the beginning; not by whoever does not want to any more.
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

/// `rollout get --watch | grep -m1 Paused`: nothing more may happen for as long as nobody promotes it.
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

#[test]
fn whatever_cannot_be_shown_the_verdict_is_in_the_exit_code() {
    let aborts = "{setWeight: 10}, {pause: {}}";
    for (steps, code) in [("{setWeight: 10}", 0), (aborts, 1)] {
        for form in ["text", "json"] {
            let house = House::with_steps(steps);
            let full = File::create("/dev/full").expect("a disk that is full");
            let args = ["--revision", "v2", "--on-promote", "true", "-o", form];
            let mut run = house.run(&args);
            run.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped());
            let mut child = run.spawn().expect("it starts");
            let said = BufReader::new(child.stderr.take().expect("it was piped")).lines();
            let mut said = said.map_while(Result::ok);
            if steps == aborts {
                assert!(said.any(|line| line.contains("weight 10: Paused")));
                assert_eq!(house.done(&["abort"]).code, Some(0));
            }
            let warning = said.find(|line| line.starts_with("warning: "));
            let warning = warning.expect("a warning");
            assert!(
                warning.contains("how it ended cannot be shown"),
                "{warning}"
            );
            assert_eq!(wait(&mut child, &run), Some(code), "{form}");
        }
    }
}

#[test]
fn interrupted_while_it_is_shown_it_is_what_it_was() {
    let house = House::with_steps("{setWeight: 10}");
    let service = house.url.strip_prefix("http://").expect("an address");
    let (url, asked) = silent_once_released(service.to_owned());
    let args = ["--revision", "v2", "--on-promote", "true", "-o", "json"];
    let mut run = house.run(&args);
    run.env("SKYGATE_SERVER", url);
    let run = Running::start(run, Follow::Stdout);
    asked.recv_timeout(LIMIT).expect("it asks how it ended");
    run.signal("TERM");
    let (code, stderr) = run.end();
    assert_eq!(code, Some(0), "{stderr}");
    let warning = "warning: how it ended cannot be shown: the service does not answer";
    assert!(stderr.contains(warning), "{stderr}");
}

/// Passes everything on to the `service`, until a lease is given back; a GET after that has no answer, and is told of.
fn silent_once_released(service: String) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (asking, asked) = mpsc::channel();
    let is_released = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (service, asking) = (service.clone(), asking.clone());
            let is_released = Arc::clone(&is_released);
            thread::spawn(move || pass_on(client, &service, &is_released, &asking));
        }
    });
    (url, asked)
}

fn pass_on(
    mut client: TcpStream,
    service: &str,
    is_released: &AtomicBool,
    asking: &mpsc::Sender<()>,
) -> io::Result<()> {
    let mut service = TcpStream::connect(service)?;
    let (mut answers, mut to_client) = (service.try_clone()?, client.try_clone()?);
    thread::spawn(move || io::copy(&mut answers, &mut to_client));
    let mut buffer = [0; 1 << 14];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return service.shutdown(std::net::Shutdown::Both);
        }
        let text = String::from_utf8_lossy(&buffer[..length]);
        if text.contains("\"release\":true") {
            is_released.store(true, Ordering::SeqCst);
        } else if text.starts_with("GET ") && is_released.load(Ordering::SeqCst) {
            let _ = asking.send(());
            continue;
        }
        service.write_all(&buffer[..length])?;
    }
}

#[test]
fn each_reason_why_a_weight_cannot_be_set_is_told() {
    let house = House::with_steps("{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}");
    let run = Running::start(house.run(&["--revision", "v2"]), Follow::Stderr);
    run.line_with("weight 10: Paused");
    let routes = house.read("routes.yaml");
    house.write("routes.yaml", "a: [");
    assert_eq!(house.done(&["promote"]).code, Some(0));
    let first = run.line_with("the weight cannot be set, which is tried again: ");
    std::fs::remove_file(house.path().join("routes.yaml")).expect("it was there");
    let second = run.line_with("the weight cannot be set, which is tried again: ");
    assert_ne!(first[9..], second[9..]);
    house.write("routes.yaml", &routes);
    run.line_with("weight 20: Paused");
}
