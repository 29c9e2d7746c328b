//! `skygate completions`.

use clap::Args;
use clap_complete::Shell;

use super::outcome::{Failure, Outcome, write};

/// Print a completion script for a shell
///
/// bash: skygate completions bash > /etc/bash_completion.d/skygate
///
/// zsh: skygate completions zsh > "${fpath[1]}/_skygate"
///
/// fish: skygate completions fish > ~/.config/fish/completions/skygate.fish
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// Shell
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> Result<Outcome, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "skygate", &mut script);
        write(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Successful)
    }
}
