//! How much of the traffic the canary gets.

use std::fmt;

/// How much of the traffic the canary gets, in percent: 0 to 100. The stable version gets the rest.
///
/// ```
/// # use skygate::domain::rollout::Weight;
/// assert_eq!(Weight::new(20).unwrap().rest().percent(), 80);
/// assert_eq!(Weight::new(101), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

impl Weight {
    /// All traffic goes to the stable version.
    pub const NONE: Self = Self(0);

    /// All traffic goes to the canary.
    pub const ALL: Self = Self(100);

    /// So many percent; `None` beyond a hundred.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= Self::ALL.0 {
            Some(Self(percent))
        } else {
            None
        }
    }

    /// In percent.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// What the stable version gets.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
