//! The rules of a desk: who may step a rollout, and what may wait there.

use std::time::Duration;

use skygate::domain::rollout::desk::{Desk, DeskError};
use skygate::domain::rollout::{Command, Seen, Settings};

use super::driver::{Stage, at, canary};

/// How long a lease lasts here.
const A_LEASE: Duration = Duration::from_secs(30);

/// A desk whose rollout waits at its second step.
fn desk() -> Desk {
    let stage = Stage::new(&canary(), Settings::default());
    let mut desk = Desk::default();
    let lease = desk.take("a", at(0), at(0) + A_LEASE).expect("a lease");
    let record = stage.rollout.to_record();
    desk.save(("bookinfo", "reviews"), lease.fence, 0, record)
        .expect("saved");
    desk
}

fn full() -> Desk {
    let mut desk = desk();
    for number in 1..=100 {
        let posted = desk.post(Command::Pause, None, "jane", at(number));
        posted.expect("there is room");
    }
    desk
}

/// The clock of the service went an hour ahead, and was put right.
#[test]
fn a_lease_never_ends_later_than_one_that_is_given_now() {
    let ahead = at(3_600);
    let mut desk = Desk::default();
    let lease = desk.take("a", ahead, ahead + A_LEASE).expect("a lease");

    let renewed = desk.renew(lease.fence, at(10) + A_LEASE).expect("renewed");
    assert_eq!(renewed.expires_at, at(40));
    let again = desk.take("a", at(20), at(20) + A_LEASE).expect("kept");
    assert_eq!((again.fence, again.expires_at), (lease.fence, at(50)));

    let mut desk = Desk::default();
    desk.take("a", ahead, ahead + A_LEASE).expect("a lease");
    for now in [0, 10, 29] {
        let held = desk.take("b", at(now), at(now) + A_LEASE);
        let Err(DeskError::Held(lease)) = held else {
            panic!("{held:?}")
        };
        assert_eq!(lease.expires_at, at(30), "at {now}");
    }
    let took = desk.take("b", at(30), at(30) + A_LEASE).expect("a lease");
    assert!(took.fence > lease.fence, "{took:?}");
}

#[test]
fn what_is_saved_or_given_back_leaves_the_end_of_a_lease_as_it_is() {
    let mut desk = desk();
    let lease = desk.lease.clone().expect("a lease");
    assert_eq!(lease.expires_at, at(30));
    desk.release(lease.fence).expect("given back");
    assert_eq!(desk.lease, None);
}

#[test]
fn commands_that_wait_do_not_keep_an_abort_out() {
    let mut desk = full();
    let pause = desk.post(Command::Pause, None, "jane", at(200));
    assert_eq!(pause, Err(DeskError::Full));
    let seen = Some(Seen {
        revision: 1,
        step: 1,
    });
    let abort = desk.post(Command::Abort, seen, "jane", at(201));
    let abort = abort.expect("there is room");
    assert_eq!((abort.posted.number, abort.posted.seen), (101, seen));
    // Said again it is the same one, and holds wherever the rollout is by then.
    let again = desk.post(Command::Abort, None, "joe", at(202));
    let again = again.expect("there is room");
    assert_eq!((again.posted.number, again.posted.seen), (101, None));
    assert_eq!(desk.waiting().count(), 101);
    let pause = desk.post(Command::Pause, None, "jane", at(203));
    assert_eq!(pause, Err(DeskError::Full));
    assert_eq!(Desk::from_body(&desk.to_body()), Ok(desk));
}
