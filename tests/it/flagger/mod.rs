//! What Flagger asks and what it is answered: the decisions, without a server around them.

mod arguments;
mod blue_green;
mod calls;
mod desk;
mod endings;
mod hooks;
mod laws;
mod replay;
mod views;
