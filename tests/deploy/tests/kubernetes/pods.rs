//! How the services run: identity, resources, probes, replicas, addresses.

use std::collections::{BTreeMap, BTreeSet};

use deploy_tests::manifest::Document;
use deploy_tests::service;
use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::overlay::{NAME, container, deployments, environment, pod, pods, rendered};

#[test]
fn every_overlay_runs_the_five_services() {
    for (folder, documents) in rendered() {
        let names: Vec<&str> = deployments(&documents).into_keys().collect();
        assert_eq!(names, ["analytics", "billing", "fulfilment", "inventory", "order"], "{folder}");
    }
}

#[test]
fn no_pod_is_root_or_may_become_it() {
    for (folder, documents) in rendered() {
        for pod in pods(&documents) {
            let security = pod.security_context.as_ref().expect("a pod security context");
            assert_eq!(security.run_as_non_root, Some(true), "{folder}");
            assert!(security.run_as_user.is_some_and(|uid| uid > 0), "{folder}");
            assert_eq!(security.seccomp_profile.as_ref().map(|profile| profile.type_.as_str()), Some("RuntimeDefault"));
            assert_eq!(pod.automount_service_account_token, Some(false), "{folder}");
            for container in &pod.containers {
                let security = container.security_context.as_ref().expect("a container security context");
                assert_eq!(security.allow_privilege_escalation, Some(false), "{folder}");
                assert_eq!(security.read_only_root_filesystem, Some(true), "{folder}");
                let dropped = security.capabilities.as_ref().and_then(|capabilities| capabilities.drop.clone());
                assert_eq!(dropped, Some(vec!["ALL".to_owned()]), "{folder}");
            }
        }
    }
}

#[test]
fn every_container_says_what_it_needs() {
    for (folder, documents) in rendered() {
        for container in pods(&documents).into_iter().flat_map(|pod| &pod.containers) {
            let resources = container.resources.as_ref().expect("resources");
            let requests = resources.requests.as_ref().expect("requests");
            assert!(requests.contains_key("cpu") && requests.contains_key("memory"), "{folder} {}", container.name);
            let limits = resources.limits.as_ref().expect("limits");
            assert!(limits.contains_key("memory"), "{folder} {}", container.name);
            let tagged = container.image.as_deref().and_then(|image| image.rsplit_once(':'));
            assert!(tagged.is_some_and(|(_, tag)| tag != "latest"), "{folder} {:?}", container.image);
        }
    }
}

#[test]
fn every_service_is_probed_on_its_port() {
    for (folder, documents) in rendered() {
        for (name, deployment) in deployments(&documents) {
            let expected = service(name).expect("one of the five").port;
            let container = container(deployment);
            let port = |probe: &Option<Probe>| probe.as_ref().and_then(|p| p.grpc.as_ref()).map(|grpc| grpc.port);
            assert_eq!(port(&container.startup_probe), Some(expected), "{folder} {name}");
            assert_eq!(port(&container.readiness_probe), Some(expected), "{folder} {name}");
            assert_eq!(port(&container.liveness_probe), Some(expected), "{folder} {name}");
            let ports: Vec<i32> = container.ports.iter().flatten().map(|port| port.container_port).collect();
            assert!(ports.contains(&expected), "{folder} {name}");
            let listen = format!("PESAN_{}_LISTEN", name.to_uppercase());
            assert_eq!(environment(container).get(listen.as_str()), Some(&format!("0.0.0.0:{expected}")), "{folder}");
            assert!(pod(deployment).termination_grace_period_seconds.is_some_and(|seconds| seconds >= 30), "{folder}");
        }
    }
}

#[test]
fn replicas_spread_and_survive_a_drain() {
    for (folder, documents) in rendered() {
        for (name, deployment) in deployments(&documents) {
            let replicas = deployment.spec.replicas.expect("a number of replicas");
            assert!(replicas >= if folder == "overlays/small" { 1 } else { 2 }, "{folder} {name}: {replicas}");
            let spread = pod(deployment).topology_spread_constraints.as_ref().expect("spreading");
            assert!(spread.iter().any(|constraint| constraint.topology_key == "kubernetes.io/hostname"), "{folder}");
            let budget = documents.iter().any(|document| match document {
                Document::PodDisruptionBudget(budget) => {
                    let spec = budget.spec.as_ref().expect("a budget's spec");
                    let labels = spec.selector.as_ref().and_then(|selector| selector.match_labels.clone());
                    labels == Some([(NAME.to_owned(), name.to_owned())].into())
                        && spec.max_unavailable == Some(IntOrString::Int(1))
                }
                _ => false,
            });
            assert!(budget, "{folder} {name} has no disruption budget");
        }
    }
}

#[test]
fn services_select_pods_that_exist_and_ports_that_are_open() {
    for (folder, documents) in rendered() {
        for (name, deployment) in deployments(&documents) {
            let found = documents.iter().find_map(|document| match document {
                Document::Service(s) if s.metadata.name.as_deref() == Some(name) => s.spec.as_ref(),
                _ => None,
            });
            let spec = found.unwrap_or_else(|| panic!("{folder}: {name} has no Service"));
            let labels = deployment.spec.template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
            let labels = labels.expect("labels");
            let selector = spec.selector.as_ref().expect("a selector");
            assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{folder} {name}");
            let open: BTreeMap<_, _> =
                container(deployment).ports.iter().flatten().map(|p| (p.name.clone(), p.container_port)).collect();
            for port in spec.ports.iter().flatten() {
                let Some(IntOrString::String(target)) = &port.target_port else { panic!("{folder} {name}: by name") };
                assert_eq!(open.get(&Some(target.clone())), Some(&port.port), "{folder} {name}");
            }
        }
    }
}

#[test]
fn peers_are_those_of_the_law() {
    for (folder, documents) in rendered() {
        for (name, deployment) in deployments(&documents) {
            let environment = environment(container(deployment));
            let given: BTreeSet<String> = environment
                .iter()
                .filter(|(key, _)| key.ends_with("_ENDPOINT") && key.starts_with("PESAN_"))
                .map(|(_, value)| value.clone())
                .collect();
            let law = service(name).expect("one of the five").peers.iter();
            let law: BTreeSet<String> =
                law.map(|peer| format!("http://{peer}:{}", service(peer).expect("one of the five").port)).collect();
            assert_eq!(given, law, "{folder} {name}");
        }
    }
}
