//! Names of runs that are put together from others, and how they are kept short enough.

/// The longest name that a run may have, in bytes.
pub const LONGEST_NAME: usize = 253;

/// What stands for the rest of a name that is too long: a dash and a hash of all of it.
const LENGTH_OF_HASH: usize = 17;

/// `name`, or as much of it as leaves room for `end` more bytes in a run's name, with a hash of all of it.
pub fn shortened(name: String, end: usize) -> String {
    let longest = LONGEST_NAME - end;
    if name.len() <= longest {
        return name;
    }
    let rest = name.floor_char_boundary(longest - LENGTH_OF_HASH);
    format!("{}-{:016x}", &name[..rest], hash(&name))
}

/// FNV-1a: short, and the same in every version of this program.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_ends_in_a_hash() {
        let shortened = |name: &str| shortened(name.to_owned(), 21);
        assert_eq!(shortened("reviews-apdex"), "reviews-apdex");
        let long = "r".repeat(253);
        let (one, other) = (
            shortened(&format!("{long}x")),
            shortened(&format!("{long}y")),
        );
        assert_eq!(one.len() + 21, LONGEST_NAME);
        assert_ne!(one, other);
        assert_eq!(one, shortened(&format!("{long}x")));
        // Names are bytes to a store, and characters to people.
        assert!(shortened(&"é".repeat(130)).len() + 21 <= LONGEST_NAME);
    }
}
