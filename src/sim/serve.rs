//! The simulator behind a socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header, request};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Pace, Reply, Request, Sim};
use crate::ports::Clock;

/// The longest body that is read.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// Serves `sim` on `listener` until `shutdown` is done; answers that wait are given up then.
pub async fn serve(
    listener: TcpListener,
    sim: Arc<Sim>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(());
    let router = Router::new()
        .fallback(answer)
        .with_state(Served { sim, stopping });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            shutdown.await;
            drop(stop);
        })
        .await
}

#[derive(Clone)]
struct Served {
    sim: Arc<Sim>,
    /// Closed when the server stops.
    stopping: watch::Receiver<()>,
}

async fn answer(State(mut served): State<Served>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return respond(Reply::new(413, "text/plain", "the body is too long"));
    };
    let mut reply = served.sim.answer(&read(&parts, &body));
    tokio::select! {
        () = wait(&served.sim, reply.pace) => {}
        // Nothing is ever sent: that the channel closes is the notice.
        _ = served.stopping.changed() => reply = Reply::refusal(503),
    }
    respond(reply)
}

fn read<'a>(parts: &'a request::Parts, body: &'a [u8]) -> Request<'a> {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        content_type: content_type.and_then(|value| value.to_str().ok()),
        body,
    }
}

async fn wait(sim: &Sim, pace: Pace) {
    match pace {
        Pace::AtOnce => {}
        Pace::After(delay) => sim.clock().sleep(delay).await,
        Pace::TooLate => sim.clock().sleep(too_late(sim.clock())).await,
        Pace::Never => std::future::pending().await,
    }
}

fn respond(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = header::HeaderValue::from_static(reply.content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Some(Ok(location)) = reply.location.map(header::HeaderValue::try_from) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// How long a client waits for an answer by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// Half as long again as a client waits on `clock`: 45 s, or more where the clock is so fast that clients wait longer on it.
fn too_late(clock: &dyn Clock) -> Duration {
    clock.lasting(clock.deadline(PATIENCE)) * 3 / 2
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::{FastClock, SystemClock};

    #[tokio::test]
    async fn a_slow_answer_is_too_late_at_any_speed() {
        assert_eq!(too_late(&SystemClock), Duration::from_secs(45));
        for speed in [1, 6, 60, 600] {
            let clock = FastClock::new(Timestamp::UNIX_EPOCH, speed);
            let real = too_late(&clock) / speed;
            assert!(real > clock.deadline(PATIENCE), "{speed}: {real:?}");
        }
    }
}
