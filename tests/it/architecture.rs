//! What one crate's compiler cannot hold: which way imports point, and that the core stays pure.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module may name. Only `cli` knows them all; adapters (`oap`, `store`, `routers`, `sim`) never know each other.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("ports", &["domain", "ports"]),
    ("clock", &["ports"]),
    ("engine", &["domain", "ports"]),
    (
        "api",
        &[
            "api",
            "documents",
            "domain",
            "engine",
            "ports",
            "secrets",
            "telemetry",
            "wire",
        ],
    ),
    ("oap", &["domain", "oap", "ports"]),
    ("store", &["domain", "ports", "store"]),
    (
        "routers",
        &["domain", "ports", "routers", "secrets", "webhook"],
    ),
    ("hooks", &["ports", "webhook"]),
    ("webhook", &["domain", "ports", "secrets"]),
    ("stepper", &["client", "domain", "ports", "wire"]),
    ("sim", &["ports", "sim"]),
    ("documents", &["documents", "domain"]),
    ("wire", &["domain", "wire"]),
    ("client", &["client", "domain", "ports", "wire"]),
    ("secrets", &[]),
    ("telemetry", &["domain", "ports", "telemetry"]),
    ("lib", &[]),
];

/// What a pure core has no use for.
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "axum",
    "hyper",
    "tower",
    "tracing",
    "async fn",
    "async move",
    ".await;",
    ".await?",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "Uuid::new",
    "thread::",
    "println!",
    "eprintln!",
];

/// A source file: the module it belongs to, where it is, and its lines of code, those of unit tests left out.
struct Source {
    module: String,
    path: PathBuf,
    code: Vec<(usize, String)>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(read(&root, path));
            }
        }
    }
    assert!(found.len() > 50, "only {} sources were found", found.len());
    found
}

fn read(root: &Path, path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).expect("a source is text");
    let below = path.strip_prefix(root).expect("it lies below src");
    let first = below
        .components()
        .next()
        .expect("it has a name")
        .as_os_str();
    let module = first.to_string_lossy().trim_end_matches(".rs").to_owned();
    // Unit tests come last in a file, by convention; what stands before them is code.
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = code
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or("").to_owned()))
        .collect();
    Source { module, path, code }
}

/// The modules that a line names as `crate::…`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn imports_point_one_way() {
    let mut seen = BTreeSet::new();
    for source in sources() {
        seen.insert(source.module.clone());
        if ["cli", "main"].contains(&source.module.as_str()) {
            continue;
        }
        let allowed = MAY_NAME
            .iter()
            .find(|(module, _)| *module == source.module)
            .unwrap_or_else(|| panic!("say in MAY_NAME what `{}` may name", source.module))
            .1;
        for (number, line) in &source.code {
            for module in named(line).filter(|module| !module.is_empty()) {
                assert!(
                    allowed.contains(&module),
                    "{}:{number}: `{}` must not name `{module}`",
                    source.path.display(),
                    source.module
                );
            }
        }
    }
    for (module, _) in MAY_NAME {
        assert!(
            seen.contains(*module),
            "there is no module `{module}` any more"
        );
    }
}

#[test]
fn the_domain_is_pure() {
    for source in sources().iter().filter(|source| source.module == "domain") {
        for (number, line) in &source.code {
            for word in IMPURE {
                assert!(
                    !line.contains(word),
                    "{}:{number}: `{word}` has no place in the domain: {}",
                    source.path.display(),
                    line.trim()
                );
            }
        }
    }
}
