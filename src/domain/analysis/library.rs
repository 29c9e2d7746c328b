//! The templates that references are looked up in.

use std::collections::BTreeMap;

use super::super::fault::{Fault, Faults};
use super::super::nearest::nearest;
use super::super::spec::{Kind, Template, TemplateRef};

/// Templates by kind, namespace and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Library {
    templates: BTreeMap<Key, Template>,
}

/// A template whose manifest says no namespace is seen from all of them.
type Key = (Kind, String, Option<String>);

impl Library {
    /// A library of these templates; two of the same kind, namespace and name are a fault.
    pub fn gather(templates: impl IntoIterator<Item = Template>) -> Result<Self, Faults> {
        let mut library = Self::default();
        let mut faults = Vec::new();
        for template in templates {
            let label = template.label();
            if library.insert(template).is_some() {
                faults.push(
                    Fault::new(label, "is given twice").hint("remove one, or give them two names"),
                );
            }
        }
        Faults::none_or(faults, library)
    }

    /// Adds a template; the one that it replaces, if any, is handed back.
    pub fn insert(&mut self, template: Template) -> Option<Template> {
        let namespace = match template.kind {
            Kind::Namespaced => template.namespace.clone(),
            Kind::Cluster => None,
        };
        let key = (template.kind, template.name.clone(), namespace);
        self.templates.insert(key, template)
    }

    /// The template that `reference` means in `namespace`.
    pub fn find(&self, namespace: &str, reference: &TemplateRef) -> Option<&Template> {
        let get = |namespace: Option<&str>| {
            self.templates.get(&(
                reference.kind(),
                reference.name.clone(),
                namespace.map(str::to_owned),
            ))
        };
        match reference.kind() {
            Kind::Namespaced => get(Some(namespace)).or_else(|| get(None)),
            Kind::Cluster => get(None),
        }
    }

    /// All templates: namespaced ones first, by name.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    /// That `reference` means nothing in `namespace`, with where it would.
    pub(super) fn not_found(&self, namespace: &str, reference: &TemplateRef) -> Fault {
        let kind = reference.kind();
        let fault = Fault::new(
            reference.at.clone(),
            format!("{} '{}' not found", kind.name(), reference.name),
        );
        let of_that_name = || self.templates().filter(|it| it.name == reference.name);
        if let Some(other) = of_that_name().find(|it| it.kind == kind) {
            let elsewhere = other.namespace.as_deref().unwrap_or_default();
            return fault.hint(format!(
                "there is one in the namespace `{elsewhere}`; it is looked for in `{namespace}`"
            ));
        }
        if of_that_name().next().is_some() {
            return fault.hint(match kind {
                Kind::Namespaced => "there is a ClusterAnalysisTemplate: `clusterScope: true`",
                Kind::Cluster => "there is an AnalysisTemplate: leave out `clusterScope`",
            });
        }
        let names = self
            .templates()
            .filter(|it| it.kind == kind)
            .map(|it| it.name.as_str());
        match nearest(&reference.name, names) {
            Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
            None => fault,
        }
    }
}
