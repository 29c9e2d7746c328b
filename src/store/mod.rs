//! Where runs are kept.

mod memory;

pub use memory::MemoryStore;
