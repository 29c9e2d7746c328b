//! Many conditions, a line of JSON each.

use std::io::{self, Write};

use anyhow::Error;
use serde::Serialize;
use serde_json::{Map, Value};

use super::input::{Input, Line};
use super::{LONGEST, parse, scope};
use crate::cli::outcome::{Failure, Outcome};
use crate::domain::condition::{ConditionError, Language};
use crate::domain::recorded::series_of;
use crate::secrets::without_url_credentials;

/// What a line is answered with.
#[derive(Debug, Serialize)]
struct Answer {
    id: Value,
    /// Says which line it is about where the line has no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(flatten)]
    evaluated: Evaluated,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Evaluated {
    Value(bool),
    Error(String),
}

/// Answers each line as it comes, in order; `language` is that of lines that name none.
pub(super) fn answer(mut input: Input, language: Option<Language>) -> Result<Outcome, Failure> {
    let mut number = 0;
    while let Some(line) = input.line()? {
        number += 1;
        let Some(answer) = answer_to(&line, number, language) else {
            continue;
        };
        match tell(&answer) {
            // Nobody listens any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            other => other.map_err(|error| {
                Failure::broken(Error::new(error).context("failed to write to stdout"))
            })?,
        }
    }
    Ok(Outcome::Successful)
}

fn tell(answer: &Answer) -> io::Result<()> {
    let text = serde_json::to_string(answer)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// The answer to a line; `None` to a blank one.
fn answer_to(line: &Line, number: u64, language: Option<Language>) -> Option<Answer> {
    let (id, evaluated) = match line {
        Line::TooLong => (
            None,
            Err(format!("the line is longer than {LONGEST} bytes")),
        ),
        Line::Text(text) if text.trim_ascii().is_empty() => return None,
        Line::Text(text) => match serde_json::from_slice(text) {
            Ok(Value::Object(mut fields)) => {
                let id = fields.remove("id").filter(|id| !id.is_null());
                (id, evaluate(&fields, language))
            }
            Ok(_) => (None, Err("the line is JSON, but no object".to_owned())),
            Err(error) => (None, Err(format!("the line is not JSON: {error}"))),
        },
    };
    Some(Answer {
        line: id.is_none().then_some(number),
        id: id.unwrap_or_default(),
        evaluated: match evaluated {
            Ok(value) => Evaluated::Value(value),
            // What it quotes may have credentials in it; an id is given back as it came.
            Err(error) => Evaluated::Error(without_url_credentials(&error).into_owned()),
        },
    })
}

fn evaluate(fields: &Map<String, Value>, language: Option<Language>) -> Result<bool, String> {
    let condition = match fields.get("condition") {
        Some(Value::String(condition)) => condition,
        Some(_) => return Err("`condition` is no text".to_owned()),
        None => return Err("`condition` is missing".to_owned()),
    };
    let result = fields.get("result").ok_or("`result` is missing")?;
    let language =
        match fields.get("language") {
            None | Some(Value::Null) => language,
            Some(name) => Some(name.as_str().and_then(Language::named).ok_or_else(|| {
                format!("`language` is {name}; \"expr\" or \"cel\" was expected")
            })?),
        };
    let series = series_of(result);
    parse(language, condition)
        .and_then(|condition| condition.holds(&scope(result, &series)))
        .map_err(|error| told(&error))
}

/// An error on one line, with what may help.
fn told(error: &ConditionError) -> String {
    match &error.hint {
        Some(hint) => format!("{error:#}; {hint}"),
        None => format!("{error:#}"),
    }
}
