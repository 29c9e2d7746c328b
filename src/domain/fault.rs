//! What is wrong with something a user wrote: where, what, and the way out.

use std::fmt;

/// One thing wrong with a document, with the path of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `spec.metrics[0].provider.skywalking.interval`. Empty: the document as a whole.
    pub path: String,
    /// What was given and what was expected, as a lower-case fragment without a full stop.
    pub message: String,
    /// What to do about it, if the message doesn't say it already.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault of a part, seen from the whole: `prefix` before its path.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => prefix.to_owned(),
            path if prefix.is_empty() => path.to_owned(),
            path if path.starts_with('[') => format!("{prefix}{path}"),
            path => format!("{prefix}.{path}"),
        };
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with a document: never just the first of it. A value of this type is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `value` where nothing was found, else the faults.
    pub fn none_or<T>(found: Vec<Fault>, value: T) -> Result<T, Self> {
        if found.is_empty() {
            Ok(value)
        } else {
            Err(Self(found))
        }
    }

    /// The same behind `earlier` ones, without those that tell one of them again, be it that these know the document and `earlier` the file.
    #[must_use]
    pub fn after(self, earlier: Vec<Fault>) -> Self {
        let is_told = |fault: &Fault| {
            let place = fault.path.rsplit(':').next().unwrap_or_default();
            earlier
                .iter()
                .any(|told| told.message == fault.message && told.path.ends_with(place))
        };
        let mut new = self.0;
        new.retain(|fault| !is_told(fault));
        Self(earlier.into_iter().chain(new).collect())
    }

    /// The faults, in the order of the document.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// The faults as a list, to be added to others.
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One fault a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// `text` as a message shows it: in backticks, cut where it is long, on one line.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.push('`');
    shown
}

/// Names as a message lists them: `` `a`, `b` ``, the first dozen of them; `none` where there are none.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 16;
    let mut names = names.into_iter();
    let mut list: Vec<String> = names.by_ref().take(MOST).map(shown).collect();
    match (list.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => list.join(", "),
        (false, more) => {
            list.push(format!("and {more} more"));
            list.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_seen_from_the_whole() {
        let check = |path: &str, expected: &str| {
            assert_eq!(Fault::new(path, "").under("spec").path, expected);
        };
        check("metrics", "spec.metrics");
        check("[0]", "spec[0]");
        check("", "spec");
    }

    #[test]
    fn faults_are_not_told_twice() {
        let told = vec![Fault::new(
            "a.yaml: AnalysisTemplate/x:spec.foo",
            "unknown field",
        )];
        let found = Faults(vec![
            Fault::new("AnalysisTemplate/x:spec.foo", "unknown field"),
            Fault::new("AnalysisTemplate/x:spec.bar", "unknown field"),
            Fault::new("AnalysisTemplate/x:spec.foo", "is empty"),
        ]);
        assert_eq!(
            found.after(told).to_string(),
            "a.yaml: AnalysisTemplate/x:spec.foo: unknown field\n\
             AnalysisTemplate/x:spec.bar: unknown field\n\
             AnalysisTemplate/x:spec.foo: is empty"
        );
    }

    #[test]
    fn what_is_shown_stays_on_a_line_and_short() {
        assert_eq!(shown("a\nb\u{1b}"), "`a\\nb\\u{1b}`");
        assert!(shown(&"é".repeat(1 << 20)).len() < 200);
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(["a"; 20]).ends_with("`a`, and 4 more"));
    }
}
