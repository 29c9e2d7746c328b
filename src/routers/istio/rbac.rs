//! The rules that would allow what was refused, ready to be applied.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::routes::Traffic;

/// Who was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A user, by name.
    User(String),
    /// A service account.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Who RBAC refused, by its words: `… is forbidden: User "jane" cannot get resource …`. `None` where something else refused.
pub(super) fn subject(said: &str) -> Option<Subject> {
    let (_, rest) = said.split_once("User \"")?;
    let (user, rest) = rest.split_once('"')?;
    if !rest.starts_with(" cannot ") {
        return None;
    }
    let account = user
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'));
    Some(match account {
        Some((namespace, name)) => Subject::ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        None => Subject::User(user.to_owned()),
    })
}

/// A Role and its binding for each namespace that `traffic` has objects in, with no more rights than stepping takes.
pub(super) fn manifests(traffic: &Traffic, subject: &Subject) -> String {
    /// The names of what has to be read and written, and of what has to be read.
    type Names<'t> = (Vec<&'t str>, Vec<&'t str>);
    let mut namespaces: BTreeMap<&str, Names<'_>> = BTreeMap::new();
    for routed in &traffic.virtual_services {
        let (services, _) = namespaces.entry(&routed.name.namespace).or_default();
        services.push(&routed.name.name);
    }
    if let Some(subsets) = &traffic.versions.subsets {
        let (_, rules) = namespaces.entry(&traffic.owner.namespace).or_default();
        rules.push(&subsets.rule);
    }
    let subject = match subject {
        Subject::User(name) => {
            format!("- kind: User\n  apiGroup: rbac.authorization.k8s.io\n  name: {name:?}\n")
        }
        Subject::ServiceAccount { namespace, name } => {
            format!("- kind: ServiceAccount\n  namespace: {namespace}\n  name: {name}\n")
        }
    };
    let role = format!("skygate-{}", traffic.owner.name);
    let mut text = String::new();
    for (namespace, (services, rules)) in namespaces {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        let metadata = format!("metadata:\n  name: {role}\n  namespace: {namespace}\n");
        let _ = write!(
            text,
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n{metadata}rules:\n"
        );
        for (resource, names, verbs) in [
            ("virtualservices", services, "get, update"),
            ("destinationrules", rules, "get"),
        ] {
            if names.is_empty() {
                continue;
            }
            let _ = write!(
                text,
                "- apiGroups: [networking.istio.io]\n  resources: [{resource}]\n  resourceNames: [{}]\n  verbs: [{verbs}]\n",
                names.join(", ")
            );
        }
        let _ = write!(
            text,
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n{metadata}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: {role}\nsubjects:\n{subject}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_rbac_refused() {
        let check = |said: &str, expected: Option<Subject>| assert_eq!(subject(said), expected);
        let name = "virtualservices.networking.istio.io \"reviews\" is forbidden";
        check(
            &format!("{name}: User \"jane\" cannot get resource \"virtualservices\" in API group"),
            Some(Subject::User("jane".to_owned())),
        );
        check(
            &format!("{name}: User \"system:serviceaccount:ci:stepper\" cannot update resource"),
            Some(Subject::ServiceAccount {
                namespace: "ci".to_owned(),
                name: "stepper".to_owned(),
            }),
        );
        check("admission webhook \"policy\" denied the request", None);
    }
}
