//! The thin rollout stepper's decisions: an Argo `Rollout`, read and checked.

mod field_path;
mod spec;
mod weight;

pub use field_path::{FieldPathError, value_at};
pub use spec::{
    AnalysisSite, Background, DestinationRuleRef, IstioRouting, KIND, RolloutSpec, Step, TcpRoute,
    TlsRoute, VirtualServiceRef,
};
pub use weight::Weight;
