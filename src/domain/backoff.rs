//! How long to wait before something that failed is tried again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Waits that double up to a longest one.
///
/// Each is spread over its second half by what is asked, so that several that failed together don't come back together.
///
/// ```
/// use std::time::Duration;
/// use skygate::domain::backoff::Backoff;
///
/// let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };
/// let wait = backoff.after(2, "the same question");
/// assert!(wait >= Duration::from_millis(100) && wait < Duration::from_millis(200));
/// assert_eq!(wait, backoff.after(2, "the same question"));
/// assert!(backoff.after(99, "") < Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first try.
    pub first: Duration,
    /// The longest wait there is.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after so many tries, from 1, to ask `asked` again.
    pub fn after(self, tries: u32, asked: &str) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1 << tries.saturating_sub(1).min(8));
        let mut hasher = DefaultHasher::new();
        (tries, asked).hash(&mut hasher);
        let spread = u32::try_from(hasher.finish() % 512).unwrap_or(0);
        doubled.min(self.longest) * (512 + spread) / 1024
    }
}
