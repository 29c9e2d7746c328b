//! What asks this process to end, and what ends it where nobody heeds that.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::outcome::{Outcome, tell};
use super::unwritten;

/// How long a signal waits to be heeded. Another one meanwhile says nothing new: a terminal and a wrapper may both pass one Ctrl-C on.
const A_MOMENT: Duration = Duration::from_secs(3);

/// How often somebody heeded a signal.
static HEEDED: AtomicU64 = AtomicU64::new(0);

/// Whether anybody was told that the terminal is gone.
static IS_HUNG_UP: AtomicBool = AtomicBool::new(false);

/// Listens from now on; what it returns is ready once somebody presses Ctrl-C or sends SIGTERM, or the terminal is gone (SIGHUP).
/// Where signals cannot be listened for it never is: the system ends the process then.
pub(super) fn interrupted() -> impl Future<Output = ()> + Send + 'static {
    let mut signals = Signals::listen();
    stand_by();
    let is_known = IS_HUNG_UP.load(Ordering::SeqCst);
    async move {
        loop {
            let is_hung_up = signals.next().await;
            HEEDED.fetch_add(1, Ordering::SeqCst);
            // The system and the shell both tell of it, and nobody is impatient by that.
            if !(is_hung_up && is_known) {
                IS_HUNG_UP.fetch_or(is_hung_up, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Once anybody has listened the system ends this process no more. Something has to where nobody gets to heed a signal:
/// while a write waits for a reader that takes nothing, and after the last listener is gone.
fn stand_by() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        // A thread of its own, for all others may wait for that reader. Nobody waits for this one: it lives as long as the process.
        let thread = std::thread::Builder::new().name("signals".to_owned());
        let begun = thread.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    unheeded().await;
                    end().await;
                });
            }
        });
        if let Err(error) = begun {
            tracing::warn!(%error, "an interrupt may have to wait for whoever reads the output");
        }
    });
}

/// Ready once a signal has come that nobody has heeded for a moment.
async fn unheeded() {
    // Counted first: one that comes and is heeded in between is no unheeded one.
    let mut heeded = HEEDED.load(Ordering::SeqCst);
    let mut signals = Signals::listen();
    loop {
        signals.next().await;
        tokio::time::sleep(A_MOMENT).await;
        while signals.next().now_or_never().is_some() {}
        let known = std::mem::replace(&mut heeded, HEEDED.load(Ordering::SeqCst));
        if heeded == known {
            return;
        }
    }
}

/// Ends the process, and says what it leaves unwritten.
#[expect(
    clippy::exit,
    reason = "the thread that could return from `main` waits for a reader"
)]
async fn end() {
    let said = tokio::task::spawn_blocking(|| match unwritten::list().as_slice() {
        [] => tell("interrupted before it was done"),
        places => tell(&format!(
            "interrupted before this was written: {}",
            places.join(", ")
        )),
    });
    // It may be stderr that takes nothing.
    let _ = tokio::time::timeout(A_MOMENT, said).await;
    std::process::exit(Outcome::Interrupted.code().into());
}

/// Signals that ask this process to end, from the moment it listens.
#[cfg(unix)]
struct Signals([std::io::Result<tokio::signal::unix::Signal>; 3]);

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let hangup = if outlives_its_terminal() {
            Err(std::io::ErrorKind::Unsupported.into())
        } else {
            signal(SignalKind::hangup())
        };
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Self([interrupt, terminate, hangup])
    }

    /// The next of them: whether it is that the terminal is gone.
    async fn next(&mut self) -> bool {
        let [interrupt, terminate, hangup] = self.0.each_mut().map(async |signals| match signals {
            Ok(signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        });
        tokio::select! {
            () = interrupt => false,
            () = terminate => false,
            () = hangup => true,
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

/// Ctrl-C, whenever it is waited for.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) -> bool {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        false
    }
}
