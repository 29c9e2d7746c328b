//! What Flagger is told: yes or no, and why in one line.

/// The longest answer, in characters: Flagger puts it into a Kubernetes event, whose text is short.
const LONGEST_ANSWER: usize = 500;

/// What Flagger is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Yes: for a rollback that means that it must go back.
    pub yes: bool,
    /// Why, in one line.
    pub text: String,
}

impl Answer {
    /// The status that Flagger takes for it: never above 202 for yes, never 429 or a 5xx for no.
    pub fn status(&self) -> u16 {
        if self.yes { 200 } else { 403 }
    }

    pub(super) fn yes(text: impl AsRef<str>) -> Self {
        Self {
            yes: true,
            text: one_line(text.as_ref()),
        }
    }

    pub(super) fn no(text: impl AsRef<str>) -> Self {
        Self {
            yes: false,
            text: one_line(text.as_ref()),
        }
    }

    /// Adds to the text what must be read, and cuts what is before it where both are too long.
    pub(super) fn add(&mut self, more: &str) {
        let more = cut(more, LONGEST_ANSWER / 2);
        let room = LONGEST_ANSWER - more.chars().count();
        self.text = cut(&self.text, room) + &more;
    }
}

/// `text` as one line that is not too long.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    cut(&words.join(" "), LONGEST_ANSWER)
}

/// `text`, or as much of it as so many characters hold.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}
