//! The laws that the fuzz targets check, on some thousand inputs that are the same each time.
//!
//! `tests/fuzz/run.sh` looks for more of them, for as long as one likes.

use serde_json::Value;

#[path = "../fuzz/laws.rs"]
mod laws;

/// Numbers that look random and are the same in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

/// Makes inputs from examples: as they are, cut, spliced, with a token more or a byte changed.
struct Maker {
    dice: Dice,
    examples: Vec<String>,
    tokens: Vec<String>,
}

impl Maker {
    fn new(seed: u64, examples: Vec<String>, tokens: Vec<String>) -> Self {
        assert!(!examples.is_empty() && !tokens.is_empty());
        Self {
            dice: Dice(seed),
            examples,
            tokens,
        }
    }

    fn check(&mut self, inputs: usize, law: impl Fn(&[u8])) {
        for example in &self.examples {
            law(example.as_bytes());
        }
        for _ in 0..inputs {
            law(&self.input());
        }
    }

    fn input(&mut self) -> Vec<u8> {
        let mut input = self.dice.pick(&self.examples).clone().into_bytes();
        for _ in 0..=self.dice.below(4) {
            let at = self.dice.below(input.len() + 1);
            let end = (at + self.dice.below(12)).min(input.len());
            match self.dice.below(6) {
                0 => drop(input.drain(at..end)),
                1 => {
                    let piece = input[at..end].to_vec();
                    input.splice(at..at, piece);
                }
                2 => {
                    let other = self.dice.pick(&self.examples).as_bytes();
                    let from = self.dice.below(other.len());
                    input.splice(at.., other[from..].iter().copied());
                }
                3 => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte ^= 1 << self.dice.below(8);
                    }
                }
                _ => {
                    let token = self.dice.pick(&self.tokens).bytes();
                    input.splice(at..end, token);
                }
            }
        }
        input
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The corpus in the form that the laws of conditions take.
fn conditions() -> Vec<String> {
    let corpus = include_str!("../data/conformance/conditions.json");
    let cases: Vec<Value> = serde_json::from_str(corpus).expect("the corpus is JSON");
    let cases = cases.iter().filter_map(|case| {
        let condition = case["condition"].as_str()?;
        Some(format!("{}\n{condition}", case["result"]))
    });
    cases.collect()
}

/// What conditions are made of, from libFuzzer's dictionary.
fn tokens() -> Vec<String> {
    let lines = include_str!("../fuzz/condition.dict").lines();
    let tokens = lines.filter(|line| line.starts_with('"'));
    tokens
        .map(|line| serde_json::from_str(line).expect("a quoted token"))
        .collect()
}

#[test]
fn conditions_in_expr() {
    Maker::new(0x5EED, conditions(), tokens()).check(3_000, laws::expr);
}

#[test]
fn conditions_in_cel() {
    let mut examples = conditions();
    let cel = include_str!("../fuzz/seeds/cel.txt").lines();
    examples.extend(cel.map(|condition| format!("\n{condition}")));
    Maker::new(0xCE1, examples, tokens()).check(1_000, laws::cel);
}

#[test]
fn arguments() {
    let examples = owned(&[
        "canary|reviews|bookinfo|cp-cluster-1|-\n{ a(b: \"{{ args.x }}\") { c } }",
        "a\"}}){ b\n<<args.x>> and {{args.x}} of {{ args.y }}",
        "\\\n\"\"\"{{ args.x }}\"\"\"",
        "TRUE\nquery($d: Duration!) { a(b: {{ args.x }}, d: $d) { values { value } } }",
    ]);
    let tokens = owned(&[
        "{{", "}}", "<<", ">>", "args.", "x", " ", "\"", "\"\"\"", "\\", "\n", "{", "}", "#", "$",
        "…", "é", "\u{feff}", "\u{0}", "*****",
    ]);
    Maker::new(0xA26, examples, tokens).check(3_000, laws::arguments);
}

#[test]
fn durations() {
    let examples = owned(&[
        "1h30m",
        "-1.5s",
        "0",
        "+300us",
        "9223372036854775807ns",
        "2562047h47m16.854775807s",
    ]);
    let tokens = owned(&[
        "h",
        "m",
        "s",
        "ms",
        "us",
        "µs",
        "ns",
        ".",
        "-",
        "+",
        "0",
        "9",
        "99999999999999999999",
    ]);
    Maker::new(0xD0, examples, tokens).check(5_000, laws::duration);
}

#[test]
fn answers() {
    let recorded = [
        include_str!("../data/oap/oap-10.4.0/exec_expression.json"),
        include_str!("../data/oap/oap-10.4.0/read_metrics_values.json"),
        include_str!("../data/oap/oap-10.4.0/read_others.json"),
        include_str!("../data/oap/oap-9.7.0/exec_expression.json"),
    ];
    let mut examples = Vec::new();
    for text in recorded {
        let recorded: Value = serde_json::from_str(text).expect("a recording is JSON");
        let answers = recorded["answers"].as_array().expect("it has answers");
        let bodies = answers
            .iter()
            .map(|answer| &answer["response"]["body"]["data"]);
        examples.extend(bodies.map(Value::to_string));
    }
    let tokens = owned(&[
        "null",
        "true",
        "0",
        "-1",
        "1e308",
        "\"\"",
        "\"1\"",
        "[]",
        "{}",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"value\":",
        "\"values\":",
        "\"id\":",
        "\"isEmptyValue\":",
        "\"label\":",
        "\"results\":",
        "\"service_apdex\":",
        "\"plain\":",
        "\"v\":",
        "\"a\":",
        "\"p\":",
        "\"sortMetrics\":",
        "\"execExpression\":",
        "\"TIME_SERIES_VALUES\"",
        "\"SINGLE_VALUE\"",
        "\"SORTED_LIST\"",
    ]);
    Maker::new(0xA5, examples, tokens).check(1_500, laws::answer);
}
