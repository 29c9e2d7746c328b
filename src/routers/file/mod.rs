//! The router for GitOps: edits the weights in manifests on disk, in place.
//!
//! Whatever else is in a file stays as it is, byte for byte: comments, order, quoting, line ends, other documents.
//! Getting the file to a cluster is somebody else's: Argo CD's, Flux's, a pipeline's.

mod disk;
mod edit;
mod patch;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::disk::Replaced;
use self::edit::{Found, Manifest};
use super::{Read, fenced_or_invalid};
use crate::domain::routes::{Change, ObjectName, Routed, Traffic};
use crate::ports::{Clock, Observed, RouterError, Shift, Shifted, TrafficRouter};

/// How often a file is edited anew after somebody else has changed it, or while another process holds it.
const TRIES: u32 = 20;

/// The wait between two tries.
const WAIT: Duration = Duration::from_millis(100);

/// Edits manifests on disk.
#[derive(Clone)]
pub struct FileRouter {
    traffic: Arc<Traffic>,
    paths: Arc<[PathBuf]>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for FileRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRouter")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

impl FileRouter {
    /// A router of `traffic` whose VirtualServices lie in the files `paths`.
    pub fn new(traffic: Traffic, paths: Vec<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            traffic: Arc::new(traffic),
            paths: paths.into(),
            clock,
        }
    }

    /// Runs `work` where it may block.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Traffic, &[PathBuf]) -> Result<T, RouterError> + Send + 'static,
    ) -> Result<T, RouterError> {
        let (traffic, paths) = (Arc::clone(&self.traffic), Arc::clone(&self.paths));
        let done = tokio::task::spawn_blocking(move || work(&traffic, &paths)).await;
        done.unwrap_or_else(|error| {
            Err(RouterError::Invalid(format!(
                "the work on the files broke off: {error}"
            )))
        })
    }
}

#[async_trait]
impl TrafficRouter for FileRouter {
    async fn observe(&self) -> Result<Observed, RouterError> {
        self.on_disk(observe).await
    }

    async fn set(&self, shift: &Shift) -> Result<Shifted, RouterError> {
        let mut last = Replaced::Busy;
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.clock.sleep(WAIT).await;
            }
            let shift = shift.clone();
            match self.on_disk(move |t, p| set(t, p, &shift)).await? {
                Ok(shifted) => return Ok(shifted),
                Err(again) => last = again,
            }
        }
        let who = match last {
            Replaced::Busy => "another process of ours held their folder",
            Replaced::Changed | Replaced::Done => "somebody kept changing them",
        };
        Err(RouterError::Conflict(format!(
            "the weights in {} were not set: {who}, {TRIES} times in a row",
            shown(&self.paths)
        )))
    }
}

fn observe(traffic: &Traffic, paths: &[PathBuf]) -> Result<Observed, RouterError> {
    let files = read(paths)?;
    if let Some(subsets) = &traffic.versions.subsets {
        let name = ObjectName {
            namespace: traffic.owner.namespace.clone(),
            name: subsets.rule.clone(),
        };
        // The rule may well lie elsewhere.
        for (path, text) in &files {
            let manifest = manifest(path, text)?;
            for found in manifest.find("DestinationRule", &name) {
                let checked = subsets.check(&found.value);
                checked.map_err(|error| fenced_or_invalid(error, &place(path, &found)))?;
            }
        }
    }
    let mut reading = Read::default();
    for routed in &traffic.virtual_services {
        let (i, found) = find(&files, &routed.name)?;
        let place = place(&files[i].0, &found);
        reading.add(traffic, routed, &found.value, &place)?;
    }
    Ok(reading.observed())
}

/// Sets the weights; the inner error says that it has to be tried again.
fn set(
    traffic: &Traffic,
    paths: &[PathBuf],
    shift: &Shift,
) -> Result<Result<Shifted, Replaced>, RouterError> {
    let mut files = read(paths)?;
    let before: Vec<String> = files.iter().map(|(_, text)| text.clone()).collect();
    let change = |files: &[(PathBuf, String)], routed: &Routed| {
        let (i, found) = find(files, &routed.name)?;
        let change = super::change(traffic, &found.value, routed, shift);
        let change =
            change.map_err(|error| fenced_or_invalid(error, &place(&files[i].0, &found)))?;
        Ok::<(usize, Found, Change), RouterError>((i, found, change))
    };
    for routed in &traffic.virtual_services {
        let (i, found, change) = change(&files, routed)?;
        if change.is_nothing() {
            continue;
        }
        let (path, text) = &files[i];
        let edited = manifest(path, text)?
            .edit(&found, &change)
            .map_err(|refusal| RouterError::Invalid(format!("`{}` {refusal}", path.display())))?;
        files[i].1 = edited;
    }
    let mut shifted = Shifted::AsItWas;
    for ((path, new), old) in files.iter().zip(&before) {
        if new == old {
            continue;
        }
        match disk::replace(path, old, new).map_err(|error| refused(path, &error, true))? {
            Replaced::Done => shifted = Shifted::Written,
            again @ (Replaced::Changed | Replaced::Busy) => return Ok(Err(again)),
        }
    }
    Ok(Ok(shifted))
}

fn read(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, RouterError> {
    paths
        .iter()
        .map(|path| {
            let text = disk::read(path).map_err(|error| refused(path, &error, false))?;
            Ok((path.clone(), text))
        })
        .collect()
}

fn manifest<'t>(path: &Path, text: &'t str) -> Result<Manifest<'t>, RouterError> {
    Manifest::read(text)
        .map_err(|refusal| RouterError::Invalid(format!("`{}` {refusal}", path.display())))
}

/// The only VirtualService of that name, and the file that it is in.
fn find(files: &[(PathBuf, String)], name: &ObjectName) -> Result<(usize, Found), RouterError> {
    let mut all = Vec::new();
    for (i, (path, text)) in files.iter().enumerate() {
        let found = manifest(path, text)?.find("VirtualService", name);
        all.extend(found.into_iter().map(|found| (i, found)));
    }
    let paths: Vec<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    if all.len() > 1 {
        let places: Vec<String> = all
            .iter()
            .map(|(i, found)| place(&files[*i].0, found))
            .collect();
        return Err(RouterError::Invalid(format!(
            "the VirtualService `{name}` is there more than once: {}; which one traffic follows can't be told",
            places.join(", ")
        )));
    }
    all.pop().ok_or_else(|| {
        RouterError::NotFound(format!(
            "there is no VirtualService `{}` for the namespace `{}` in {}; one of the group networking.istio.io is looked for, by `metadata.name` and, where it is given, `metadata.namespace`",
            name.name,
            name.namespace,
            shown(&paths)
        ))
    })
}

fn place(path: &Path, found: &Found) -> String {
    format!("`{}`, line {}", path.display(), found.line)
}

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    match paths.as_slice() {
        [] => "no file at all".to_owned(),
        paths => paths.join(", "),
    }
}

/// What an error of the file system means for a stepper.
fn refused(path: &Path, error: &io::Error, is_writing: bool) -> RouterError {
    use io::ErrorKind as Kind;
    let path = path.display();
    let doing = if is_writing { "replace" } else { "read" };
    match error.kind() {
        Kind::NotFound => RouterError::NotFound(format!("there is no file `{path}`")),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => RouterError::Forbidden {
            what: format!(
                "failed to {doing} `{path}`: {error}; the folder has to be writable too, since a new file takes the old one's place"
            ),
            allow: None,
        },
        Kind::InvalidData | Kind::IsADirectory => {
            RouterError::Invalid(format!("failed to {doing} `{path}`: {error}"))
        }
        Kind::ResourceBusy => RouterError::Invalid(format!(
            "failed to {doing} `{path}`: {error}; a file that is a mount of its own can't be replaced, so mount its folder"
        )),
        _ => RouterError::Unreachable {
            what: format!("failed to {doing} `{path}`: {error}"),
            after: None,
        },
    }
}
