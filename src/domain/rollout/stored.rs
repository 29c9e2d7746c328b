//! How values are written in a rollout's stored form.

/// A phase by its name.
pub(super) mod phase {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::super::super::measurement::Phase;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over references"
    )]
    pub(in super::super) fn serialize<S: Serializer>(
        phase: &Phase,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(phase.name())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Phase, D::Error> {
        let name = String::deserialize(deserializer)?;
        [
            Phase::Pending,
            Phase::Running,
            Phase::Successful,
            Phase::Failed,
            Phase::Error,
            Phase::Inconclusive,
        ]
        .into_iter()
        .find(|phase| phase.name() == name)
        .ok_or_else(|| de::Error::custom(format!("no phase is called `{name}`")))
    }
}

/// A weight in percent.
pub(super) mod weight {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::super::Weight;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over references"
    )]
    pub(in super::super) fn serialize<S: Serializer>(
        weight: &Weight,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(weight.percent())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Weight, D::Error> {
        let percent = u8::deserialize(deserializer)?;
        Weight::new(percent)
            .ok_or_else(|| de::Error::custom(format!("a weight of {percent} is beyond a hundred")))
    }
}

/// A run's id as a text.
pub(super) mod run_id {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::super::super::run::RunId;

    #[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
    pub(in super::super) fn serialize<S: Serializer>(
        run: &Option<RunId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        run.as_ref().map(|run| &run.0).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<RunId>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(RunId))
    }
}

/// A duration in Go's form.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::super::super::duration::{GoDuration, short};

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&short(*duration))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        read(&String::deserialize(deserializer)?)
    }

    pub(super) fn read<E: de::Error>(text: &str) -> Result<Duration, E> {
        let duration = GoDuration::parse(text).map_err(E::custom)?;
        duration
            .to_std()
            .ok_or_else(|| E::custom(format!("a duration of `{text}` is negative")))
    }
}

/// A duration that may be absent.
pub(super) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::super::super::duration::short;

    #[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(short).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::duration::read(&text)).transpose()
    }
}
