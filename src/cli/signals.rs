//! What asks this process to end.

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens from now on; what it returns is ready once somebody presses Ctrl-C or sends SIGTERM, or the terminal is gone (SIGHUP).
/// Where signals cannot be listened for it never is: the system ends the process then.
#[cfg(unix)]
pub(super) fn interrupted() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Whether the terminal's end was heard of. The system and the shell both tell of it, and it is one interrupt.
    static IS_HUNG_UP: AtomicBool = AtomicBool::new(false);

    async fn received(signals: std::io::Result<Signal>) {
        match signals {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    }

    let (interrupt, terminate) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let hangup = (!outlives_its_terminal()).then(|| signal(SignalKind::hangup()));
    let is_heard = IS_HUNG_UP.load(Ordering::SeqCst);
    async move {
        let hung_up = async {
            match hangup {
                Some(hangup) if !is_heard => received(hangup).await,
                Some(_) | None => std::future::pending().await,
            }
            IS_HUNG_UP.store(true, Ordering::SeqCst);
        };
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
            () = hung_up => {}
        }
    }
}

/// Whether whoever started this process had it ignore SIGHUP, as `nohup` does: listening would undo that. Only Linux tells.
#[cfg(unix)]
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    // The bit of signal 1 is the first one.
    ignored.is_some_and(|signals| signals & 1 == 1)
}

/// Ready once somebody presses Ctrl-C.
#[cfg(not(unix))]
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
