//! What is in a rendered folder.

use std::collections::BTreeMap;

use deploy_tests::database::Cluster;
use deploy_tests::manifest::{Document, render};
use deploy_tests::root;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::api::networking::v1::NetworkPolicy;

pub const NAME: &str = "app.kubernetes.io/name";

/// Every folder that can be applied.
pub fn rendered() -> Vec<(String, Vec<Document>)> {
    let overlays = root().join("deploy/k8s/overlays").read_dir().expect("overlays");
    let overlays = overlays.map(|entry| format!("overlays/{}", entry.expect("readable").file_name().display()));
    let mut folders: Vec<String> = std::iter::once("base".to_owned()).chain(overlays).collect();
    folders.sort();
    folders
        .into_iter()
        .map(|folder| {
            let documents = render(&folder).unwrap_or_else(|error| panic!("{folder}: {error:#}"));
            (folder, documents)
        })
        .collect()
}

pub fn deployments(documents: &[Document]) -> BTreeMap<&str, &Deployment> {
    let found = documents.iter().filter_map(|document| match document {
        Document::Deployment(d) => Some((d.metadata.name.as_deref().expect("a name"), d)),
        _ => None,
    });
    found.collect()
}

pub fn clusters(documents: &[Document]) -> BTreeMap<&str, &Cluster> {
    let found = documents.iter().filter_map(|document| match document {
        Document::Cluster(c) => Some((c.metadata.name.as_deref().expect("a name"), c)),
        _ => None,
    });
    found.collect()
}

pub fn policies(documents: &[Document]) -> Vec<&NetworkPolicy> {
    let found = documents.iter().filter_map(|document| match document {
        Document::NetworkPolicy(policy) => Some(policy),
        _ => None,
    });
    found.collect()
}

/// Every pod: those of the services and of what runs beside them.
pub fn pods(documents: &[Document]) -> Vec<&PodSpec> {
    let found = documents.iter().filter_map(|document| match document {
        Document::Deployment(d) => d.spec.template.spec.as_ref(),
        Document::StatefulSet(s) => s.spec.template.spec.as_ref(),
        _ => None,
    });
    found.collect()
}

pub fn pod(deployment: &Deployment) -> &PodSpec {
    deployment.spec.template.spec.as_ref().expect("a pod")
}

pub fn container(deployment: &Deployment) -> &Container {
    let [container] = pod(deployment).containers.as_slice() else { panic!("one container") };
    container
}

/// Plain values as they are; references as `secret:NAME/KEY` and `config:NAME/KEY`.
pub fn environment(container: &Container) -> BTreeMap<&str, String> {
    let entries = container.env.iter().flatten().map(|variable| {
        let source = variable.value_from.as_ref();
        let secret = source.and_then(|source| source.secret_key_ref.as_ref());
        let config = source.and_then(|source| source.config_map_key_ref.as_ref());
        let value = match (secret, config) {
            (Some(secret), _) => format!("secret:{}/{}", secret.name, secret.key),
            (_, Some(config)) => format!("config:{}/{}", config.name, config.key),
            _ => variable.value.clone().unwrap_or_default(),
        };
        (variable.name.as_str(), value)
    });
    entries.collect()
}
