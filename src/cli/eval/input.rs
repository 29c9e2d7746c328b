//! A file or stdin, read within bounds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, anyhow};

use super::LONGEST;
use crate::cli::outcome::Failure;

/// Something to read, and what it is called.
pub(super) struct Input {
    name: String,
    reader: Box<dyn BufRead>,
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Vec<u8>),
    /// Longer than [`LONGEST`], and passed over.
    TooLong,
}

impl Input {
    /// Opens a file; `-` is stdin.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self {
                name: "stdin".to_owned(),
                reader: Box::new(io::stdin().lock()),
            });
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .and_then(|file| {
                if file.metadata()?.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                Ok(file)
            })
            .with_context(|| format!("failed to read {name}"))
            .map_err(Failure::usage)?;
        Ok(Self {
            name,
            reader: Box::new(BufReader::new(file)),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub(super) fn whole(self) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        self.reader
            .take(LONGEST as u64 + 1)
            .read_to_end(&mut text)
            .with_context(|| format!("failed to read {}", self.name))
            .map_err(Failure::usage)?;
        if text.len() > LONGEST {
            return Err(Failure::usage(anyhow!(
                "{} is longer than {LONGEST} bytes",
                self.name
            )));
        }
        Ok(text)
    }

    /// The next line; `None` behind the last.
    pub(super) fn line(&mut self) -> Result<Option<Line>, Failure> {
        next_line(&mut self.reader, LONGEST)
            .with_context(|| format!("failed to read {}", self.name))
            .map_err(Failure::broken)
    }
}

/// Reads a line of at most `longest` bytes.
fn next_line(reader: &mut dyn BufRead, longest: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    // One byte more, for the end of the line.
    let mut bounded = reader.take(longest as u64 + 1);
    if bounded.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > longest {
        reader.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Text(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let text = |text: &str| Some(Line::Text(text.as_bytes().to_vec()));
        let mut reader = "1234\n12345\n\n123456789\nlast".as_bytes();
        let mut next = || next_line(&mut reader, 4).unwrap();
        assert_eq!(next(), text("1234"));
        assert_eq!(next(), Some(Line::TooLong));
        assert_eq!(next(), text(""));
        assert_eq!(next(), Some(Line::TooLong));
        assert_eq!(next(), text("last"));
        assert_eq!(next(), None);
    }
}
