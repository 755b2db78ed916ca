//! Who may talk to whom.

use std::collections::BTreeSet;

use deploy_tests::manifest::Document;
use deploy_tests::{SERVICES, service};
use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::overlay::{NAME, policies, rendered};

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

/// From, to, and the port there.
type Arrow = (String, String, i32);

/// Every arrow between services: as it may leave, and as it is let in.
fn arrows(documents: &[Document]) -> (BTreeSet<Arrow>, BTreeSet<Arrow>) {
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
    let law: BTreeSet<Arrow> = SERVICES
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
