//! The clocks behind the [`Clock`] port.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::ports::Clock;

/// The system's clock. Built once, where the program is wired.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where the system's time enters"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that runs `speed` times as fast as the system's, from a given moment on.
#[derive(Clone, Copy, Debug)]
pub struct FastClock {
    epoch: Timestamp,
    begun: Instant,
    speed: u32,
}

impl FastClock {
    /// However fast the clock, IO on a busy machine gets this long before it counts as too slow.
    const LEAST_DEADLINE: Duration = Duration::from_secs(5);

    /// A clock that shows `epoch` now. A speed of 0 is taken as 1.
    pub fn new(epoch: Timestamp, speed: u32) -> Self {
        Self {
            epoch,
            begun: Instant::now(),
            speed: speed.max(1),
        }
    }
}

#[async_trait]
impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        self.epoch
            .checked_add(self.begun.elapsed().saturating_mul(self.speed))
            .unwrap_or(Timestamp::MAX)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / self.speed).await;
    }

    fn deadline(&self, duration: Duration) -> Duration {
        (duration / self.speed).max(Self::LEAST_DEADLINE.min(duration))
    }

    fn lasting(&self, real: Duration) -> Duration {
        real.saturating_mul(self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_at_speed_sixty_takes_a_minute() {
        let epoch: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let clock = FastClock::new(epoch, 60);
        let begun = Instant::now();
        clock.sleep(Duration::from_hours(1)).await;
        assert_eq!(begun.elapsed().as_secs(), 60);
        assert_eq!(clock.now().as_second() - epoch.as_second(), 3_600);
    }

    #[tokio::test]
    async fn io_is_never_hurried_below_a_floor() {
        let clock = FastClock::new(Timestamp::UNIX_EPOCH, 600);
        assert_eq!(
            clock.deadline(Duration::from_secs(30)),
            Duration::from_secs(5)
        );
        assert_eq!(
            clock.deadline(Duration::from_secs(2)),
            Duration::from_secs(2)
        );
        assert_eq!(
            SystemClock.deadline(Duration::from_secs(30)),
            Duration::from_secs(30)
        );
    }

    #[tokio::test]
    async fn a_lease_lasts_as_long_as_it_does_in_real_time() {
        let clock = FastClock::new(Timestamp::UNIX_EPOCH, 60);
        let minute = Duration::from_mins(1);
        assert_eq!(clock.lasting(minute), Duration::from_hours(1));
        assert_eq!(SystemClock.lasting(minute), minute);
    }
}
