//! Whether anybody still reads what this process writes.

/// Ready once whoever read stdout through a pipe is gone; never, where it is no pipe, or the system cannot tell.
#[cfg(unix)]
pub(super) async fn gone() {
    use std::os::fd::AsFd;

    use tokio::io::Interest;
    use tokio::net::unix::pipe::Sender;

    let stdout = std::io::stdout().as_fd().try_clone_to_owned();
    // Only watched: nothing is written by it, so it may stay as it is. What is no pipe, a file for instance, is not taken.
    match stdout.and_then(Sender::from_owned_fd_unchecked) {
        Ok(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {}
        Ok(_) | Err(_) => std::future::pending().await,
    }
}

/// Never ready.
#[cfg(not(unix))]
pub(super) async fn gone() {
    std::future::pending().await
}
