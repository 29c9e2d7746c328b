//! Puts arguments into an OAP's address without letting them choose another host.

use super::super::args::{Arguments, Piece, percent_encoded, pieces};
use super::super::fault::{Fault, shown};

/// Renders `template`. In the credentials and in the path a value is text, percent-encoded where a URL wants that; in the host it
/// must not end it, and it must be no secret, for names are looked up in public. An address that begins with an argument is its caller's to write.
pub(super) fn render(template: &str, args: &Arguments) -> Result<String, Vec<Fault>> {
    if args.leaves_unresolved(template) {
        return Err(Vec::new());
    }
    let pieces = pieces(template.trim()).map_err(|fault| vec![fault])?;
    let mut rendered = String::with_capacity(template.len());
    let mut faults = Vec::new();
    let mut place = Place::Start;
    for (n, piece) in pieces.iter().enumerate() {
        match *piece {
            Piece::Text(text) => {
                place = place.after(text, &pieces[n + 1..]);
                rendered.push_str(text);
            }
            Piece::Placeholder { name, written } => match args.value_for(name, written) {
                Ok(value) => match place.put(value, args.is_secret(name)) {
                    Ok(text) => rendered.push_str(&text),
                    Err(why) => faults.push(Fault::new(
                        "",
                        format!("the value of argument {} {why}", shown(name)),
                    )),
                },
                Err(fault) => faults.push(fault),
            },
        }
    }
    if faults.is_empty() {
        Ok(rendered)
    } else {
        Err(faults)
    }
}

/// Where in an address a value stands. What the template itself has decides that, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a `//`.
    Start,
    /// Before the `@`.
    Credentials,
    /// The host and its port.
    Host,
    /// Behind them.
    Path,
}

impl Place {
    /// The place behind `text`, which stands at this one; an `@` in the `rest` makes what comes before it credentials.
    fn after(self, text: &str, rest: &[Piece<'_>]) -> Self {
        let authority = match self {
            Self::Start => match text.split_once("//") {
                Some((_, authority)) => authority,
                None => return Self::Start,
            },
            Self::Credentials | Self::Host => text,
            Self::Path => return Self::Path,
        };
        if authority.contains('/') {
            Self::Path
        } else if ends_credentials(rest) {
            Self::Credentials
        } else {
            Self::Host
        }
    }

    /// `value` as it may stand there; else why it may not.
    fn put(self, value: &str, is_secret: bool) -> Result<String, &'static str> {
        match self {
            Self::Credentials => Ok(percent_encoded(value)),
            Self::Path => {
                let parts: Vec<String> = value.split('/').map(percent_encoded).collect();
                Ok(parts.join(if is_secret { "%2F" } else { "/" }))
            }
            Self::Host if is_secret => {
                Err("is a secret, and a host's name is none: it is looked up in public")
            }
            Self::Host
                if value.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || r"/@?#%\".contains(c)
                }) =>
            {
                Err(
                    "has a character that ends a host's name or means something else in it: a blank or one of `/ @ ? # % \\`",
                )
            }
            Self::Start | Self::Host => Ok(value.to_owned()),
        }
    }
}

/// Whether an `@` of the template's own comes before the path begins.
fn ends_credentials(rest: &[Piece<'_>]) -> bool {
    let texts = rest.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(*text),
        Piece::Placeholder { .. } => None,
    });
    let ends = texts.filter_map(|text| text.find(['@', '/']).map(|at| &text[at..]));
    ends.map(|text| text.starts_with('@'))
        .next()
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `template` where `{{args.x}}` is `value` and `{{args.tok}}` is the secret `p:a@s/s`.
    fn check(template: &str, value: &str, expected: Result<&str, &str>) {
        let mut args = Arguments::default();
        args.set("x", value);
        args.set_secret("tok", "p:a@s/s");
        let got = render(template, &args).map_err(|faults| faults[0].message.clone());
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{template}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{got}"),
            _ => unreachable!("{template}: {got:?}, and not {expected:?}"),
        }
    }

    #[test]
    fn a_value_stays_within_its_part_of_an_address() {
        check(
            "http://u:{{args.tok}}@oap/sky",
            "",
            Ok("http://u:p%3Aa%40s%2Fs@oap/sky"),
        );
        check(
            "http://{{args.x}}:{{args.tok}}@oap",
            "j@e",
            Ok("http://j%40e:p%3Aa%40s%2Fs@oap"),
        );
        check("http://{{args.x}}:80/", "oap", Ok("http://oap:80/"));
        check(
            "http://{{args.x}}",
            "oap.istio-system:12800",
            Ok("http://oap.istio-system:12800"),
        );
        check(
            "http://oap.{{args.x}}/sky/v1",
            "a",
            Ok("http://oap.a/sky/v1"),
        );
        check(
            "http://oap/{{args.x}}/@",
            "a/b?c",
            Ok("http://oap/a/b%3Fc/@"),
        );
        check(
            "http://gw/{{args.tok}}/sky",
            "",
            Ok("http://gw/p%3Aa%40s%2Fs/sky"),
        );
        check("{{args.x}}", "http://u:p@oap/sky", Ok("http://u:p@oap/sky"));
        check("{{args.x}}://oap", "https", Ok("https://oap"));
        check("http://u:p@{{args.x}}/", "oap", Ok("http://u:p@oap/"));
    }

    #[test]
    fn a_value_that_would_choose_another_host_is_refused() {
        for value in [
            "a@evil", "evil/", "evil?", "evil#", "evil\\", "e vil", "e%2f",
        ] {
            for template in [
                "http://{{args.x}}.oap",
                "http://oap{{args.x}}:12800/",
                "http://u:p@{{args.x}}",
            ] {
                check(
                    template,
                    value,
                    Err("the value of argument `x` has a character"),
                );
            }
        }
        check(
            "http://oap.{{args.tok}}",
            "",
            Err("argument `tok` is a secret"),
        );
    }

    #[test]
    fn a_secret_is_masked_as_an_address_has_it() {
        let mut args = Arguments::default();
        args.set_secret("tok", "p:a@s/s");
        for template in ["http://u:{{args.tok}}@oap", "http://gw/{{args.tok}}/sky"] {
            let shown = args.masker().mask(&render(template, &args).unwrap());
            assert!(
                shown.contains("*****") && !shown.contains("a%40s"),
                "{shown}"
            );
        }
    }
}
