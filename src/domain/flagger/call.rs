//! One call: which hook, about which canary, by which template.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use crate::domain::fault::shown;

/// What a call is about to be asked for. The path of the URL says which: no body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// May a rollout begin?
    ConfirmRollout,
    /// It begins: the version takes no traffic yet, or begins its only iteration again.
    PreRollout,
    /// A round of the analysis: is the version good so far?
    Rollout,
    /// May it take more traffic?
    ConfirmTrafficIncrease,
    /// May it take all of it?
    ConfirmPromotion,
    /// The rollout is over.
    PostRollout,
    /// Must it go back? Here yes is bad.
    Rollback,
    /// Something that Flagger tells people.
    Event,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 8] = [
        Self::ConfirmRollout,
        Self::PreRollout,
        Self::Rollout,
        Self::ConfirmTrafficIncrease,
        Self::ConfirmPromotion,
        Self::PostRollout,
        Self::Rollback,
        Self::Event,
    ];

    /// Flagger's name for its type.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm-rollout",
            Self::PreRollout => "pre-rollout",
            Self::Rollout => "rollout",
            Self::ConfirmTrafficIncrease => "confirm-traffic-increase",
            Self::ConfirmPromotion => "confirm-promotion",
            Self::PostRollout => "post-rollout",
            Self::Rollback => "rollback",
            Self::Event => "event",
        }
    }

    /// The hook of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What Flagger says in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The canary's namespace.
    pub namespace: String,
    /// The canary's name.
    pub canary: String,
    /// What Flagger calls the state that the canary is in. There are more of them than are documented, so it stays a text.
    pub phase: String,
    /// What tells versions apart; the same for a version that is tried again.
    pub checksum: String,
    /// The template to judge by. Only an event may do without.
    pub template: Option<TemplateName>,
    /// The template's arguments.
    pub args: BTreeMap<String, String>,
    /// What the caller proves itself with.
    pub token: Option<Token>,
    /// What an event says.
    pub message: Option<String>,
    /// When an event was sent, by Flagger's clock; `None` where it does not say.
    pub sent_at: Option<Timestamp>,
}

/// The template that a canary is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateName {
    /// Its namespace, in which the run is, too.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is a `ClusterAnalysisTemplate`.
    pub cluster_scope: bool,
}

/// What a caller proves itself with. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a call cannot be made sense of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The body isn't Flagger's.
    #[error("the body is not what Flagger sends: {0}")]
    Body(String),
    /// A field holds what it must not hold.
    #[error("{field} is {found}; {expected} was expected")]
    Field {
        /// Which.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// Nothing says which template to judge by.
    #[error(
        "no template: name one in the hook's metadata, `template: NAME`, or in its URL, `?template=NAME`"
    )]
    NoTemplate,
}

/// What stands for the namespace of a template that has none, in the name of a record.
pub const CLUSTER_SCOPE: &str = "clustertemplates";

/// The longest name that Kubernetes has.
const LONGEST_NAME: usize = 253;

/// The longest text that an event is remembered by, in characters.
const LONGEST_MESSAGE: usize = 300;

/// What Flagger sends. It may come to send more.
#[derive(Deserialize)]
struct Body {
    name: String,
    namespace: String,
    #[serde(default)]
    phase: String,
    #[serde(default)]
    checksum: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Call {
    /// Reads a call of `hook`: its body, and the names and values in its URL's query. What both say, the body says.
    pub fn read(hook: Hook, body: &[u8], query: &[(String, String)]) -> Result<Self, CallError> {
        let body: Body =
            serde_json::from_slice(body).map_err(|error| CallError::Body(error.to_string()))?;
        let mut said: BTreeMap<String, String> = query.iter().cloned().collect();
        said.extend(body.metadata.unwrap_or_default());
        let namespace = name("namespace", body.namespace)?;
        let template = match said.remove("template") {
            None => None,
            Some(template) => Some(TemplateName {
                namespace: match said.remove("namespace") {
                    Some(own) => name("metadata.namespace", own)?,
                    None => namespace.clone(),
                },
                name: name("metadata.template", template)?,
                cluster_scope: match said.remove("clusterScope").as_deref() {
                    None | Some("false") => false,
                    Some("true") => true,
                    Some(found) => {
                        return Err(CallError::Field {
                            field: "metadata.clusterScope",
                            found: shown(found),
                            expected: "`true` or `false`",
                        });
                    }
                },
            }),
        };
        if template.is_none() && hook != Hook::Event {
            return Err(CallError::NoTemplate);
        }
        Ok(Self {
            namespace,
            canary: name("name", body.name)?,
            phase: word("phase", body.phase)?,
            checksum: word("checksum", body.checksum)?,
            template,
            token: said.remove("token").map(Token),
            message: said
                .remove("eventMessage")
                .map(|message| message.chars().take(LONGEST_MESSAGE).collect()),
            sent_at: said
                .remove("timestamp")
                .and_then(|sent| Timestamp::from_millisecond(sent.parse().ok()?).ok()),
            args: said
                .into_iter()
                .filter_map(|(name, value)| Some((name.strip_prefix("args.")?.to_owned(), value)))
                .collect(),
        })
    }

    /// What the record of this canary and template is called within the canary's namespace.
    pub fn record_name(&self) -> Option<String> {
        let template = self.template.as_ref()?;
        let scope = if template.cluster_scope {
            CLUSTER_SCOPE
        } else {
            template.namespace.as_str()
        };
        Some(format!("{}/{scope}/{}", self.canary, template.name))
    }
}

impl Token {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(*****)")
    }
}

/// A name that something may be kept under.
fn name(field: &'static str, text: String) -> Result<String, CallError> {
    let is_strange = |c: char| c.is_control() || c.is_whitespace() || c == '/';
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains(is_strange) {
        return Err(CallError::Field {
            field,
            found: shown(&text),
            expected: "a name of Kubernetes",
        });
    }
    Ok(text)
}

/// A word that Flagger uses; older ones leave some out.
fn word(field: &'static str, text: String) -> Result<String, CallError> {
    if text.len() > LONGEST_NAME || text.contains(char::is_control) {
        return Err(CallError::Field {
            field,
            found: shown(&text),
            expected: "a short word",
        });
    }
    Ok(text)
}
