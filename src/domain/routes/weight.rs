//! A share of the traffic.

use std::fmt;

/// The percentage of the traffic that one version gets: 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

impl Weight {
    /// No traffic.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(100);

    /// `percent` of the traffic; `None` above 100.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= Self::ALL.0 {
            Some(Self(percent))
        } else {
            None
        }
    }

    /// The percentage.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// What is left for the other version.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stay_between_none_and_all() {
        for percent in 0..=u8::MAX {
            let weight = Weight::new(percent);
            assert_eq!(weight.is_some(), percent <= 100);
            if let Some(weight) = weight {
                assert_eq!(weight.percent() + weight.rest().percent(), 100);
            }
        }
    }
}
