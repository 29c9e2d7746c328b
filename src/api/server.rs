//! The socket: connections are accepted, bounded, and let go.
//!
//! | what a client does | what becomes of it |
//! | --- | --- |
//! | it connects while as many connections are open as may be | it waits in the system's queue until one is closed |
//! | it takes its time with a request's head, or sends nothing | the connection is closed after [`Limits::head_within`] |
//! | it takes its time with a body | 408 after [`super::Settings::body_within`] |
//! | it sends more than is read | 413, or 431 for a head |
//! | it sends what is no HTTP | 400, and the connection is closed |
//! | it does not read what it asked for | the connection is closed after [`Limits::write_within`] without progress |
//! | it closes its sending side | it counts as gone: what it waits for is given up |

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tracing::{debug, warn};

/// How much of the service clients can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections are open at a time.
    pub connections: usize,
    /// How long the head of a request may take, from the end of the one before it.
    pub head_within: Duration,
    /// How long a client may leave its answer unread.
    pub write_within: Duration,
    /// How long requests under way may take once the service stops.
    pub drain_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            head_within: Duration::from_secs(5),
            write_within: Duration::from_secs(30),
            drain_within: Duration::from_secs(10),
        }
    }
}

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

/// How long to wait before the next connection is accepted after the system had no room for one.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop` resolves; then nothing new is accepted, and what is under way is waited for, within limits.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let (stopping, _) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(closed) = connections.join_next() => {
                if let Err(failure) = closed {
                    warn!(error = %failure, "a connection's task failed");
                }
            }
            (stream, permit) = accept(&listener, &room) => {
                let connection = Connection {
                    stream,
                    router: router.clone(),
                    limits,
                    stopping: stopping.subscribe(),
                    _permit: permit,
                };
                connections.spawn(connection.serve());
            }
        }
    }
    drop(listener);
    drop(stopping);
    let drained = timeout(limits.drain_within, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        let left = connections.len();
        debug!(
            left,
            "closed {left} connections whose requests took too long"
        );
        connections.shutdown().await;
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(room).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // It is gone before it was there.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(error = %error, "failed to accept a connection: {error}");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// One connection and what it lives by.
struct Connection {
    stream: TcpStream,
    router: Router,
    limits: Limits,
    /// Closed when the service stops.
    stopping: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self) {
        // Answers are small and whole.
        let _ = self.stream.set_nodelay(true);
        let io = Patient::new(self.stream, self.limits.write_within);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_within)
            .max_header_size(LONGEST_HEAD)
            .max_buf_size(2 * LONGEST_HEAD)
            .serve_connection(TokioIo::new(io), TowerToHyperService::new(self.router));
        let mut connection = pin!(connection);
        tokio::select! {
            served = connection.as_mut() => return report(served),
            // Nothing is ever sent: that the channel closes is the notice.
            _ = self.stopping.changed() => connection.as_mut().graceful_shutdown(),
        }
        report(connection.await);
    }
}

/// What clients do wrong is their own affair.
fn report(served: Result<(), hyper::Error>) {
    if let Err(error) = served {
        debug!(error = %error, "a connection ended early: {error}");
    }
}

/// A stream whose other side has to read what it is sent.
struct Patient<S> {
    stream: S,
    within: Duration,
    /// Runs while the other side takes nothing.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S, within: Duration) -> Self {
        Self {
            stream,
            within,
            patience: None,
        }
    }

    /// `outcome`, unless nothing has gone out for too long.
    fn unless_stuck<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.patience = None;
            return outcome;
        }
        let patience = self.patience.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(Instant::now() + self.within))
        });
        ready!(patience.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_stuck(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unless_stuck(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.unless_stuck(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.unless_stuck(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_nothing_is_given_up() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = Patient::new(ours, Duration::from_secs(30));
        let begun = Instant::now();
        let failure = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 30);

        // Whoever reads a little now and then is not.
        let mut ours = Patient::new(ours.stream, Duration::from_secs(30));
        let reading = async {
            let mut bytes = [0; 8];
            for _ in 0..6 {
                sleep(Duration::from_secs(29)).await;
                let _ = theirs.read(&mut bytes).await;
            }
        };
        let (written, ()) = tokio::join!(ours.write_all(&[0; 48]), reading);
        written.unwrap();
    }
}
