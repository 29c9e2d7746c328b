//! What can be seen of a process from outside: logs on stderr, so that results on stdout stay clean, and what Prometheus collects.

mod logs;
mod metrics;
mod observed;

pub use logs::{Format, is_chatty, start};
pub use metrics::Metrics;
pub use observed::{ObservedSource, ObservedStore};
