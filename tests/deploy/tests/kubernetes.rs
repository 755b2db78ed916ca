//! The base and every overlay, rendered and checked.

use std::collections::{BTreeMap, BTreeSet};

use deploy_tests::database::Cluster;
use deploy_tests::manifest::{Document, render};
use deploy_tests::{SERVICES, root, service};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PodSpec, Probe};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const NAME: &str = "app.kubernetes.io/name";

/// Every folder that can be applied.
fn rendered() -> Vec<(String, Vec<Document>)> {
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

fn deployments(documents: &[Document]) -> BTreeMap<&str, &Deployment> {
    let found = documents.iter().filter_map(|document| match document {
        Document::Deployment(d) => Some((d.metadata.name.as_deref().expect("a name"), d)),
        _ => None,
    });
    found.collect()
}

fn clusters(documents: &[Document]) -> BTreeMap<&str, &Cluster> {
    let found = documents.iter().filter_map(|document| match document {
        Document::Cluster(c) => Some((c.metadata.name.as_deref().expect("a name"), c)),
        _ => None,
    });
    found.collect()
}

fn policies(documents: &[Document]) -> Vec<&NetworkPolicy> {
    let found = documents.iter().filter_map(|document| match document {
        Document::NetworkPolicy(policy) => Some(policy),
        _ => None,
    });
    found.collect()
}

/// Every pod: those of the services and of what runs beside them.
fn pods(documents: &[Document]) -> Vec<&PodSpec> {
    let found = documents.iter().filter_map(|document| match document {
        Document::Deployment(d) => d.spec.template.spec.as_ref(),
        Document::StatefulSet(s) => s.spec.template.spec.as_ref(),
        _ => None,
    });
    found.collect()
}

fn pod(deployment: &Deployment) -> &PodSpec {
    deployment.spec.template.spec.as_ref().expect("a pod")
}

fn container(deployment: &Deployment) -> &Container {
    let [container] = pod(deployment).containers.as_slice() else { panic!("one container") };
    container
}

/// Plain values as they are; references as `secret:NAME/KEY` and `config:NAME/KEY`.
fn environment(container: &Container) -> BTreeMap<&str, String> {
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

fn ports(ports: &Option<Vec<NetworkPolicyPort>>) -> BTreeSet<i32> {
    let numbers = ports.iter().flatten().map(|port| match port.port {
        Some(IntOrString::Int(number)) => number,
        _ => panic!("policies name ports by number"),
    });
    numbers.collect()
}

fn named_pod(peer: &NetworkPolicyPeer) -> Option<&str> {
    let labels = peer.pod_selector.as_ref()?.match_labels.as_ref()?;
    labels.get(NAME).map(String::as_str)
}

/// `(from, to, port)` for every arrow between services, once as it leaves and once as it is let in.
fn arrows(documents: &[Document]) -> (BTreeSet<(String, String, i32)>, BTreeSet<(String, String, i32)>) {
    let (mut leaving, mut arriving) = (BTreeSet::new(), BTreeSet::new());
    for policy in policies(documents) {
        let spec = policy.spec.as_ref().expect("a policy's spec");
        let selector = spec.pod_selector.as_ref().and_then(|selector| selector.match_labels.as_ref());
        let Some(own) = selector.and_then(|labels| labels.get(NAME)).filter(|name| service(name).is_some()) else {
            continue;
        };
        for rule in spec.egress.iter().flatten() {
            for peer in rule.to.iter().flatten().filter_map(named_pod).filter(|name| service(name).is_some()) {
                leaving.extend(ports(&rule.ports).into_iter().map(|port| (own.clone(), peer.to_owned(), port)));
            }
        }
        for rule in spec.ingress.iter().flatten() {
            for peer in rule.from.iter().flatten().filter_map(named_pod).filter(|name| service(name).is_some()) {
                arriving.extend(ports(&rule.ports).into_iter().map(|port| (peer.to_owned(), own.clone(), port)));
            }
        }
    }
    (leaving, arriving)
}

#[test]
fn the_network_lets_through_the_arrows_of_the_law_and_no_others() {
    let law: BTreeSet<(String, String, i32)> = SERVICES
        .iter()
        .flat_map(|from| from.peers.iter().map(|to| (from.name, service(to).expect("one of the five"))))
        .map(|(from, to)| (from.to_owned(), to.name.to_owned(), to.port))
        .collect();
    for (folder, documents) in rendered() {
        let (leaving, arriving) = arrows(&documents);
        assert_eq!(leaving, law, "{folder}: egress");
        assert_eq!(arriving, law, "{folder}: ingress");
    }
}

#[test]
fn whatever_is_not_allowed_is_denied() {
    for (folder, documents) in rendered() {
        let denies = policies(&documents).into_iter().any(|policy| {
            let spec = policy.spec.as_ref().expect("a policy's spec");
            let everywhere = spec.pod_selector.as_ref().is_none_or(|selector| *selector == Default::default());
            let both = spec.policy_types.as_deref() == Some(&["Ingress".to_owned(), "Egress".to_owned()]);
            everywhere && both && spec.ingress.is_none() && spec.egress.is_none()
        });
        assert!(denies, "{folder} has no default deny");
        // A rule without a peer opens to the whole world: only databases have one, to reach the API server.
        for policy in policies(&documents) {
            let spec = policy.spec.as_ref().expect("a policy's spec");
            assert!(
                spec.ingress.iter().flatten().all(|rule| rule.from.is_some()),
                "{folder} {:?}",
                policy.metadata.name
            );
            let open = spec.egress.iter().flatten().any(|rule| rule.to.is_none());
            assert!(
                !open || policy.metadata.name.as_deref() == Some("databases"),
                "{folder} {:?}",
                policy.metadata.name
            );
        }
    }
}

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

#[test]
fn config_that_is_referred_to_exists() {
    for (folder, documents) in rendered() {
        let maps = documents.iter().filter_map(|document| match document {
            Document::ConfigMap(map) => Some((map.metadata.name.clone()?, map.data.clone().unwrap_or_default())),
            _ => None,
        });
        let maps: BTreeMap<_, _> = maps.collect();
        for (name, deployment) in deployments(&documents) {
            let environment = environment(container(deployment));
            let endpoint = &environment["OTEL_EXPORTER_OTLP_ENDPOINT"];
            let (map, key) = endpoint.strip_prefix("config:").and_then(|r| r.split_once('/')).expect("a reference");
            assert!(maps.get(map).is_some_and(|data| data.contains_key(key)), "{folder} {name}: {endpoint}");
        }
    }
}
