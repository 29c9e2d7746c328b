//! The stepper's decisions: reading a Rollout, playing its steps, keeping and showing it.

mod commands;
mod crashes;
mod desk;
mod driver;
mod ending;
mod field_paths;
mod laws;
mod outcomes;
mod reading;
mod revising;
mod room;
mod stored;
mod stories;
mod tree;
