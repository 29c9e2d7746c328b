//! From declared arguments to values.

use super::super::args::Arguments;
use super::super::fault::{Fault, shown};
use super::super::spec::{Argument, SecretRef};
use super::place_of;

/// The longest value of an argument.
const LONGEST_VALUE: usize = 64 * 1024;

/// How the hint begins that says how to supply an argument; `NAME=VALUE` follows.
pub const SUPPLY_BY_FLAG: &str = "supply it: --arg ";

/// What Argo puts for secrets while it checks.
const DUMMY_SECRET: &str = "temp-for-secret";

/// The values of `args`, with a dummy for every secret, as Argo checks templates.
pub fn arguments<'a>(
    args: impl IntoIterator<Item = &'a Argument>,
    faults: &mut Vec<Fault>,
) -> Arguments {
    resolve(args, |_| false, |_| Ok(DUMMY_SECRET.to_owned()), faults)
}

/// The values of `args`; `secret` looks up those that are secrets. Every argument needs a value, used or not, as in Argo.
pub(crate) fn resolve<'a>(
    args: impl IntoIterator<Item = &'a Argument>,
    supplies_secret: impl Fn(&str) -> bool,
    secret: impl Fn(&SecretRef) -> Result<String, String>,
    faults: &mut Vec<Fault>,
) -> Arguments {
    let mut values = Arguments::default();
    for argument in args {
        let reference = argument
            .value_from
            .as_ref()
            .and_then(|from| from.secret.as_ref());
        let name = argument.name.as_str();
        let found = match (&argument.value, reference) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(reference)) => secret(reference).map_err(|why| {
                Fault::new(
                    format!("{}.valueFrom.secretKeyRef", place_of(argument)),
                    why,
                )
            }),
            (None, None) => Err(without_value(argument)),
        };
        match found.and_then(|value| acceptable(argument, value)) {
            // Whoever supplies a value for a secret wants it hidden too.
            Ok(value)
                if supplies_secret(name) || (argument.value.is_none() && reference.is_some()) =>
            {
                values.set_secret(name, value);
            }
            Ok(value) => values.set(name, value),
            Err(fault) => {
                faults.push(fault);
                values.set_unresolved(name);
            }
        }
    }
    values
}

fn without_value(argument: &Argument) -> Fault {
    let name = shown(&argument.name);
    let plain = name.trim_matches('`');
    let from = argument.value_from.as_ref();
    let source = match from {
        Some(from) if from.field_path.is_some() => Some("fieldRef"),
        Some(from) if from.pod_template_hash.is_some() => Some("podTemplateHashValue"),
        Some(_) | None => None,
    };
    let fault = match source {
        Some(source) => Fault::new(
            place_of(argument),
            format!(
                "argument {name} was not supplied: only a rollout can fill in `valueFrom.{source}`"
            ),
        ),
        None => Fault::new(
            place_of(argument),
            format!(
                "args.{plain} was not resolved: argument {name} was not supplied and has no default"
            ),
        ),
    };
    fault.hint(format!("{SUPPLY_BY_FLAG}{plain}=VALUE"))
}

/// What Argo cannot carry through its JSON is refused here too: control characters other than blanks.
fn acceptable(argument: &Argument, value: String) -> Result<String, Fault> {
    let name = shown(&argument.name);
    if value.len() > LONGEST_VALUE {
        return Err(Fault::new(
            place_of(argument),
            format!(
                "the value of argument {name} has {} bytes; at most {LONGEST_VALUE} are allowed",
                value.len()
            ),
        ));
    }
    let is_refused =
        |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{8}' | '\u{c}');
    match value.chars().find(|c| is_refused(*c)) {
        Some(control) => Err(Fault::new(
            place_of(argument),
            format!(
                "the value of argument {name} holds the control character U+{:04X}",
                u32::from(control)
            ),
        )),
        None => Ok(value),
    }
}
