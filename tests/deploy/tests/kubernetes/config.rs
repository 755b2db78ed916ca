//! What the services are configured with: a database each, and where spans go.

use std::collections::BTreeSet;
use std::path::Path;

use deploy_tests::manifest::Document;
use deploy_tests::{SERVICES, root};

use crate::overlay::{clusters, container, deployments, environment, rendered};

#[test]
fn each_service_has_a_database_of_its_own() {
    for (folder, documents) in rendered() {
        let clusters = clusters(&documents);
        let mut seen = BTreeSet::new();
        for (name, deployment) in deployments(&documents) {
            let variable = format!("PESAN_{}_DATABASE_URL", name.to_uppercase());
            let environment = environment(container(deployment));
            let secret = environment.get(variable.as_str()).unwrap_or_else(|| panic!("{folder}: {variable}"));
            let databases = environment.keys().filter(|key| key.ends_with("_DATABASE_URL")).count();
            assert_eq!(databases, 1, "{folder}: {name} knows the database of another");
            assert!(seen.insert(secret.clone()), "{folder}: {secret} is used twice");
            if clusters.is_empty() {
                assert_eq!(*secret, format!("secret:pesan-{name}-db/uri"), "{folder}");
                continue;
            }
            assert_eq!(*secret, format!("secret:{name}-db-app/uri"), "{folder}");
            let cluster = clusters.get(format!("{name}-db").as_str()).unwrap_or_else(|| panic!("{folder}: {name}-db"));
            let initdb = &cluster.spec.bootstrap.initdb;
            assert_eq!((initdb.database.as_str(), initdb.owner.as_str()), (name, name), "{folder}");
            assert!(
                initdb.post_init_application_sql.iter().all(|sql| sql.contains(&format!("\"{name}\""))),
                "{folder}"
            );
            assert!(cluster.spec.max_sync_replicas < cluster.spec.instances, "{folder}: no commit could ever finish");
            assert!(cluster.spec.min_sync_replicas <= cluster.spec.max_sync_replicas, "{folder}");
        }
        assert!(clusters.is_empty() || clusters.len() == SERVICES.len(), "{folder}");
    }
}

/// Spans go to the collector where there is one, and nowhere else.
#[test]
fn spans_go_to_the_collector_that_is_there() {
    for (folder, documents) in rendered() {
        let config = documents.iter().find_map(|document| match document {
            Document::ConfigMap(map) => {
                let name = map.metadata.name.as_deref().unwrap_or_default();
                name.starts_with("pesan-telemetry-").then(|| (name.to_owned(), map.data.clone().unwrap_or_default()))
            }
            _ => None,
        });
        let (map, data) = config.unwrap_or_else(|| panic!("{folder} has no pesan-telemetry"));
        let collector = documents.iter().find_map(|document| match document {
            Document::Service(service) if service.metadata.name.as_deref() == Some("otel-collector") => {
                let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).expect("ports");
                let otlp = ports.iter().find(|port| port.name.as_deref() == Some("otlp")).expect("a port for spans");
                Some(format!("http://otel-collector:{}", otlp.port))
            }
            _ => None,
        });
        assert_eq!(data, [("otlp-endpoint".to_owned(), collector.unwrap_or_default())].into(), "{folder}");
        for (name, deployment) in deployments(&documents) {
            let endpoint = &environment(container(deployment))["OTEL_EXPORTER_OTLP_ENDPOINT"];
            assert_eq!(*endpoint, format!("config:{map}/otlp-endpoint"), "{folder} {name}");
        }
    }
}

/// All Rust sources below a folder, as one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &std::fs::read_to_string(&path).expect("readable");
        }
    }
    text
}

/// A variable that nobody reads is a setting that silently does nothing.
#[test]
fn every_variable_is_one_the_service_reads() {
    let shared = sources(&root().join("shared"));
    for (folder, documents) in rendered() {
        for (name, deployment) in deployments(&documents) {
            let own = sources(&root().join("services").join(name).join("src"));
            let environment = environment(container(deployment));
            for variable in environment.keys().filter(|variable| variable.starts_with("PESAN_")) {
                let quoted = format!("\"{variable}\"");
                assert!(own.contains(&quoted) || shared.contains(&quoted), "{folder}: {name} does not read {variable}");
            }
        }
    }
}
