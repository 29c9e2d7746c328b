//! The stepper's loop, without sockets: the runtime's time is paused and runs by itself.

mod dark;
mod fencing;
mod killing;
mod people;
mod promoting;
mod world;
