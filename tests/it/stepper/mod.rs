//! The stepper's loop. But for the original use case there are no sockets: the runtime's time is paused and runs by itself.

mod dark;
mod editing;
mod fencing;
mod killing;
mod people;
mod promoting;
mod remote;
mod restoring;
mod seed;
mod sight;
mod world;
