//! Judging as the corpus, the stories and the laws have it, through the public API of `domain`.

mod corpus;
pub(crate) mod driver;
pub(crate) mod laws;
mod measuring;
mod stories;
