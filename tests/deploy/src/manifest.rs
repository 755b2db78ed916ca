//! Kubernetes documents: rendered by kustomize, decoded strictly.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::database::{self, Cluster};
use crate::root;

/// One document of a rendered overlay. A kind that is not here is not allowed in `deploy/`.
#[derive(Debug)]
pub enum Document {
    Namespace(Namespace),
    ServiceAccount(ServiceAccount),
    ConfigMap(ConfigMap),
    Service(Service),
    Deployment(Deployment),
    StatefulSet(StatefulSet),
    PodDisruptionBudget(PodDisruptionBudget),
    NetworkPolicy(NetworkPolicy),
    /// CloudNativePG's, the one custom resource in use.
    Cluster(Cluster),
}

/// Everything `kubectl kustomize` makes of a folder below `deploy/k8s`.
pub fn render(folder: &str) -> Result<Vec<Document>> {
    let output = Command::new(kubectl()?)
        .arg("kustomize")
        .arg(root().join("deploy/k8s").join(folder))
        .output()
        .context("kubectl could not be started")?;
    ensure!(output.status.success(), "{folder} cannot be rendered: {}", String::from_utf8_lossy(&output.stderr));
    decode_all(&String::from_utf8(output.stdout)?)
}

/// The pinned kubectl, else one on the PATH.
fn kubectl() -> Result<PathBuf> {
    let pinned = root().join("target/tools/bin/kubectl");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        std::iter::once(pinned).chain(std::env::split_paths(&on_path).map(|folder| folder.join("kubectl")));
    candidates.find(|path| path.is_file()).context("kubectl is missing: run `.ci/tools.sh kubectl`")
}

/// Decodes every document of a YAML stream.
pub fn decode_all(yaml: &str) -> Result<Vec<Document>> {
    documents(yaml)?.into_iter().map(decode).collect()
}

fn documents(yaml: &str) -> Result<Vec<Value>> {
    use serde::Deserialize;
    serde_norway::Deserializer::from_str(yaml).map(|document| Ok(Value::deserialize(document)?)).collect()
}

/// Reads a YAML file that is no Kubernetes document.
pub fn read_yaml(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_norway::from_str(&text)?)
}

fn decode(document: Value) -> Result<Document> {
    let kind = (document["apiVersion"].as_str().unwrap_or_default(), document["kind"].as_str().unwrap_or_default());
    let name = document["metadata"]["name"].as_str().unwrap_or("without a name");
    let context = format!("{} {name}", kind.1);
    let decoded = match kind {
        ("v1", "Namespace") => strictly(document).map(Document::Namespace),
        ("v1", "ServiceAccount") => strictly(document).map(Document::ServiceAccount),
        ("v1", "ConfigMap") => strictly(document).map(Document::ConfigMap),
        ("v1", "Service") => strictly(document).map(Document::Service),
        ("apps/v1", "Deployment") => strictly(document).map(Document::Deployment),
        ("apps/v1", "StatefulSet") => strictly(document).map(Document::StatefulSet),
        ("policy/v1", "PodDisruptionBudget") => strictly(document).map(Document::PodDisruptionBudget),
        ("networking.k8s.io/v1", "NetworkPolicy") => strictly(document).map(Document::NetworkPolicy),
        (database::API_VERSION, "Cluster") => strictly(document).map(Document::Cluster),
        (version, kind) => bail!("{version} {kind} is not a kind these manifests use: add it here, with its type"),
    };
    decoded.context(context)
}

/// Decodes, and fails on anything in the input that the type does not know.
fn strictly<T: DeserializeOwned + Serialize>(document: Value) -> Result<T> {
    let typed: T = serde_json::from_value(document.clone())?;
    let understood = serde_json::to_value(&typed)?;
    survives("", &document, &understood)?;
    Ok(typed)
}

/// Every key and value of `input` is in `understood`.
fn survives(path: &str, input: &Value, understood: &Value) -> Result<()> {
    match (input, understood) {
        (Value::Object(input), Value::Object(understood)) => {
            for (key, value) in input {
                let path = format!("{path}.{key}");
                let kept = understood.get(key).with_context(|| format!("{path} is not a field"))?;
                survives(&path, value, kept)?;
            }
            Ok(())
        }
        (Value::Array(input), Value::Array(understood)) if input.len() == understood.len() => {
            let mut pairs = input.iter().zip(understood).enumerate();
            pairs.try_for_each(|(index, (value, kept))| survives(&format!("{path}[{index}]"), value, kept))
        }
        (input, understood) => {
            ensure!(input == understood, "{path}: {input} was understood as {understood}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: order }
spec:
  selector: { matchLabels: { app: order } }
  template:
    metadata: { labels: { app: order } }
    spec:
      containers:
        - name: service
          image: pesan-order
          readinessProbe: { grpc: { port: 50051 } }
";

    fn complaint(yaml: &str) -> String {
        format!("{:#}", decode_all(yaml).expect_err("must not be accepted"))
    }

    #[test]
    fn a_right_document_is_accepted() {
        assert!(matches!(decode_all(POD).expect("right").as_slice(), [Document::Deployment(_)]));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let yaml = POD.replace("readinessProbe", "readynessProbe");
        assert!(complaint(&yaml).contains("containers[0].readynessProbe is not a field"), "{}", complaint(&yaml));
    }

    #[test]
    fn a_field_in_the_wrong_place_is_refused() {
        let yaml = POD.replace("metadata: { name: order }", "metadata: { name: order, replicas: 2 }");
        assert_eq!(complaint(&yaml), "Deployment order: .metadata.replicas is not a field");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let yaml = POD.replace("port: 50051", "port: grpc");
        assert!(complaint(&yaml).contains("invalid type"), "{}", complaint(&yaml));
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert!(complaint("apiVersion: v1\nkind: Secret\nmetadata: { name: x }\n").contains("v1 Secret is not a kind"));
    }

    #[test]
    fn a_misspelt_field_of_a_database_is_refused() {
        let yaml = "
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: { name: order-db }
spec:
  instances: 1
  minSyncReplica: 0
";
        assert!(complaint(yaml).contains("minSyncReplica"), "{}", complaint(yaml));
    }
}
