//! Files that a result goes to, each of them one that nothing else is written to or read from, by whatever name.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::github::Step;
use crate::cli::outcome::Failure;

/// A file that is open for writing.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: File,
}

impl Place {
    /// Opens `path` for `what`. A file that is taken is left as it is, and any other emptied.
    pub(super) fn open(path: &Path, what: String, taken: &mut Taken) -> Result<Self, Failure> {
        let opened = || {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).open(path);
            file.and_then(|file| Ok((file.metadata()?, file)))
        };
        let failed = || format!("failed to create {}", path.display());
        let (metadata, file) = opened().with_context(failed).map_err(Failure::usage)?;
        taken.add(what, path, &metadata)?;
        // Pipes and devices hold nothing of before.
        if metadata.is_file() {
            file.set_len(0)
                .with_context(failed)
                .map_err(Failure::usage)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(super) fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("failed to write to {}", self.path.display()))
            .map_err(Failure::broken)
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Files that have a use already.
#[derive(Debug)]
pub(super) struct Taken {
    inputs: Vec<Identity>,
    step: Vec<(Identity, &'static str)>,
    places: Vec<(Identity, String)>,
}

impl Taken {
    /// Stdout, where it is a file, the `inputs`, and the files of the `step`.
    pub(super) fn by<'p>(inputs: impl IntoIterator<Item = &'p Path>, step: Option<&Step>) -> Self {
        let of_path = |path: &Path| Identity::of(&path.metadata().ok()?);
        let inputs = inputs.into_iter();
        let step = step.into_iter().flat_map(Step::files);
        let stdout = stdout().filter(Metadata::is_file);
        let stdout = stdout.as_ref().and_then(Identity::of);
        Self {
            inputs: inputs.filter_map(of_path).collect(),
            step: step
                .filter_map(|(name, path)| Some((of_path(path)?, name)))
                .collect(),
            places: stdout
                .map(|it| (it, "what goes to stdout".to_owned()))
                .into_iter()
                .collect(),
        }
    }

    fn add(&mut self, what: String, path: &Path, metadata: &Metadata) -> Result<(), Failure> {
        let Some(identity) = Identity::of(metadata) else {
            return Ok(());
        };
        if self.inputs.contains(&identity) {
            return Err(over_input(&what, path));
        }
        if let Some((_, name)) = self.step.iter().find(|(known, _)| *known == identity) {
            return Err(over_step(&what, name, path));
        }
        if let Some((_, other)) = self.places.iter().find(|(known, _)| *known == identity) {
            return Err(over_another(&what, other, path));
        }
        self.places.push((identity, what));
        Ok(())
    }
}

/// Two things that are written to one place would leave half of each.
pub(super) fn over_another(what: &str, other: &str, path: &Path) -> Failure {
    let path = path.display();
    Failure::usage(anyhow!("{what} would be written over {other}, to `{path}`"))
        .hint("give each a file of its own")
}

/// What is written over an input is lost before it is read.
pub(super) fn over_input(what: &str, path: &Path) -> Failure {
    let path = path.display();
    Failure::usage(anyhow!(
        "{what} would be written over `{path}`, which is read"
    ))
    .hint("give it another file")
}

/// What a step has written to its own files so far would be lost, and the report be there twice.
pub(super) fn over_step(what: &str, name: &str, path: &Path) -> Failure {
    let path = path.display();
    Failure::usage(anyhow!(
        "{what} would be written over the step's {name}, to `{path}`"
    ))
    .hint("the step's summary and outputs come by themselves; with --no-github they do not, and the file may be replaced")
}

/// Which file it is: its device and its number there. Links of both kinds lead to the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

#[cfg(unix)]
impl Identity {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "elsewhere than on Unix a file may have none"
    )]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        Some(Self(metadata.dev(), metadata.ino()))
    }
}

#[cfg(not(unix))]
impl Identity {
    /// None is known here; places are told apart by their paths alone.
    fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

#[cfg(unix)]
fn stdout() -> Option<Metadata> {
    use std::os::fd::AsFd;

    let stdout = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
    File::from(stdout).metadata().ok()
}

#[cfg(not(unix))]
fn stdout() -> Option<Metadata> {
    None
}
