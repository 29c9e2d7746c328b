//! The hooks behind the [`Hook`](crate::ports::Hook) port: a command, a URL.

mod command;
mod url;

pub use command::CommandHook;
pub use url::UrlHook;
