//! Where the values behind `secretKeyRef` come from: files, and for local commands the environment before them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// `text` with the user and the password of every URL in it replaced. Whoever puts them into an address doesn't expect to read them in a log.
pub fn without_url_credentials(text: &str) -> Cow<'_, str> {
    static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("://[^\\s/?#\"'`<>]*@").expect("a constant that its test compiles")
    });
    CREDENTIALS.replace_all(text, "://*****@")
}

/// A lookup of secrets by namespace, name and key.
#[derive(Clone, Default)]
pub struct SecretFiles {
    root: Option<PathBuf>,
    /// `SKYGATE_SECRET_NAME_KEY` and its value; `None` where the environment is not looked at.
    environment: Option<HashMap<String, String>>,
}

/// Says where, never what.
impl std::fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretFiles")
            .field("root", &self.root)
            .field("environment", &self.environment.as_ref().map(HashMap::len))
            .finish()
    }
}

impl SecretFiles {
    /// What the environment's variables for secrets begin with.
    pub const VARIABLE: &str = "SKYGATE_SECRET_";

    /// Secrets below `root`, as `NAMESPACE/NAME/KEY`; before them those in `environment`.
    pub fn new(
        root: Option<PathBuf>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let environment = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(Self::VARIABLE))
            .collect();
        Self {
            root,
            environment: Some(environment),
        }
    }

    /// Secrets below `root` and nowhere else: those of a service, whose callers are not told where it keeps them.
    pub fn of_service(root: Option<PathBuf>) -> Self {
        Self {
            root,
            environment: None,
        }
    }

    /// The secret's value without a trailing line end; else why there is none, and where one would be looked for.
    pub fn find(&self, namespace: &str, name: &str, key: &str) -> Result<String, String> {
        let variable = variable_name(name, key);
        let environment = self.environment.as_ref();
        if let Some(value) = environment.and_then(|it| it.get(&variable)) {
            return Ok(value.clone());
        }
        let missing = format!("no secret `{name}` with the key `{key}`");
        let Some(root) = &self.root else {
            let place = format!("DIR/{namespace}/{name}/{key}");
            return Err(match environment {
                Some(_) => {
                    format!("{missing}: set {variable}, or give --secrets DIR with a file {place}")
                }
                None => format!(
                    "{missing}: this service has no secrets; its operator can give it some: serve --secrets DIR, with a file {place}"
                ),
            });
        };
        if let Some(part) = [namespace, name, key]
            .into_iter()
            .find(|part| !is_plain(part))
        {
            return Err(format!(
                "`{part}` cannot be part of a secret's path; a plain name was expected"
            ));
        }
        let path = root.join(namespace).join(name).join(key);
        let failed = |error: &std::io::Error| match environment {
            Some(_) => format!("{missing}: failed to read {}: {error}", path.display()),
            None => format!(
                "{missing}: failed to read {namespace}/{name}/{key} below the folder of --secrets: {error}"
            ),
        };
        let value = read(&path).map_err(|error| failed(&error))?;
        Ok(value
            .strip_suffix('\n')
            .map_or(value.as_str(), |v| v.strip_suffix('\r').unwrap_or(v))
            .to_owned())
    }
}

/// The longest secret, in bytes.
const LONGEST: u64 = 64 << 10;

fn read(path: &Path) -> std::io::Result<String> {
    let mut value = String::new();
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    file.take(LONGEST + 1).read_to_string(&mut value)?;
    if value.len() as u64 > LONGEST {
        let message = format!("it is longer than {LONGEST} bytes");
        return Err(std::io::Error::other(message));
    }
    Ok(value)
}

/// One component of a path and nothing else: no separator, no `..`.
fn is_plain(part: &str) -> bool {
    let mut components = Path::new(part).components();
    matches!(components.next(), Some(Component::Normal(only)) if only == part)
        && components.next().is_none()
}

/// The variable that may hold a secret: upper case, everything but letters and digits an underscore.
fn variable_name(name: &str, key: &str) -> String {
    let word = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect()
    };
    format!("{}{}_{}", SecretFiles::VARIABLE, word(name), word(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn credentials_in_urls_are_not_shown() {
        let check = |text, expected| assert_eq!(without_url_credentials(text), expected);
        check("at `http://oap:12800/x@y`", "at `http://oap:12800/x@y`");
        check("http://jane:s3cret@oap", "http://*****@oap");
        check("http://jane:p@ss@oap http://b", "http://*****@oap http://b");
        check(
            r#"{"a":"https://:t@oap","b":"x@y"}"#,
            r#"{"a":"https://*****@oap","b":"x@y"}"#,
        );
    }

    #[test]
    fn the_environment_comes_first() {
        let secrets = SecretFiles::new(
            None,
            environment(&[
                ("SKYGATE_SECRET_OAP_TOKEN_API_KEY", "s3"),
                ("HOME", "/root"),
            ]),
        );
        assert_eq!(
            secrets.find("default", "oap-token", "api.key"),
            Ok("s3".to_owned())
        );
        let missing = secrets.find("default", "oap", "key").unwrap_err();
        assert!(
            missing.contains("SKYGATE_SECRET_OAP_KEY") && missing.contains("DIR/default/oap/key"),
            "{missing}"
        );
    }

    #[test]
    fn a_file_without_its_line_end() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("default/oap");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), "s3cret\r\n").unwrap();
        let secrets = SecretFiles::new(Some(root.path().to_owned()), []);
        assert_eq!(
            secrets.find("default", "oap", "key"),
            Ok("s3cret".to_owned())
        );
    }

    #[test]
    fn callers_of_a_service_are_not_told_where_its_secrets_are() {
        let nothing = SecretFiles::of_service(None).find("default", "oap", "key");
        let nothing = nothing.unwrap_err();
        assert!(
            nothing.contains("serve --secrets DIR") && !nothing.contains("SKYGATE_"),
            "{nothing}"
        );
        let root = tempfile::tempdir().unwrap();
        let secrets = SecretFiles::of_service(Some(root.path().to_owned()));
        let missing = secrets.find("default", "oap", "key").unwrap_err();
        assert!(missing.contains("default/oap/key below"), "{missing}");
        assert!(
            !missing.contains(&root.path().display().to_string()),
            "{missing}"
        );
    }

    #[test]
    fn a_secret_is_a_file_of_a_few_bytes() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("default/oap");
        std::fs::create_dir_all(folder.join("folder")).unwrap();
        std::fs::write(folder.join("long"), "x".repeat(1 << 17)).unwrap();
        let secrets = SecretFiles::of_service(Some(root.path().to_owned()));
        for (key, why) in [("folder", "it is no file"), ("long", "it is longer than")] {
            let refused = secrets.find("default", "oap", key).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn no_way_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let secrets = SecretFiles::new(Some(root.path().to_owned()), []);
        for part in ["..", ".", "", "a/b", "/etc"] {
            let refused = secrets.find("default", part, "passwd").unwrap_err();
            assert!(
                refused.contains("a plain name was expected"),
                "{part}: {refused}"
            );
        }
    }

    #[test]
    fn never_shown() {
        let secrets = SecretFiles::new(None, environment(&[("SKYGATE_SECRET_A_B", "hunter2")]));
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
