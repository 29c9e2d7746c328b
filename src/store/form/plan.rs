//! A plan's stored form: what it was made of.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::words::Word;
use super::{FormError, Text};
use crate::domain::analysis::Analysis;
use crate::domain::condition::{Language, Languages};
use crate::domain::plan::Plan;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanForm {
    namespace: String,
    /// As in an `AnalysisRun`: secrets are references.
    spec: Value,
    /// For each metric what its conditions were found to be written in, so that no later version takes them for something else.
    languages: Vec<LanguagesForm>,
}

/// `successCondition` and `failureCondition`.
#[derive(Debug, Serialize, Deserialize)]
struct LanguagesForm(Option<Word<Language>>, Option<Word<Language>>);

/// What is stored of `plan`: the same for every run of the same spec in the same namespace.
pub(in crate::store) fn plan_text(plan: &Plan) -> String {
    let form = PlanForm {
        namespace: plan.analysis.namespace.clone(),
        spec: plan.analysis.written(),
        languages: plan
            .languages()
            .into_iter()
            .map(|Languages { success, failure }| {
                LanguagesForm(success.map(Word), failure.map(Word))
            })
            .collect(),
    };
    serde_json::to_string(&form).expect("its keys are texts")
}

/// What a plan was made of.
pub(in crate::store) fn analysis_of(text: &Text) -> Result<Analysis, FormError> {
    let PlanForm {
        namespace,
        spec,
        languages,
    } = serde_json::from_str(text.known()?)?;
    let languages = languages
        .into_iter()
        .map(|LanguagesForm(success, failure)| Languages {
            success: success.map(|word| word.0),
            failure: failure.map(|word| word.0),
        })
        .collect();
    Ok(Analysis::of_written(namespace, &spec).speaking(languages))
}
