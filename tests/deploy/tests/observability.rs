//! The collector's configuration and the dashboards hang together.

use std::collections::BTreeSet;

use deploy_tests::manifest::read_yaml;
use deploy_tests::root;
use serde_json::Value;

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn every_part_of_the_collector_is_declared_and_used() {
    let config = read_yaml(&root().join("deploy/otel/collector.yaml")).expect("readable");
    let mut declared = BTreeSet::new();
    for section in ["receivers", "processors", "connectors", "exporters", "extensions"] {
        declared.extend(keys(&config[section]));
    }
    let mut used = names(&config["service"]["extensions"]);
    for pipeline in config["service"]["pipelines"].as_object().expect("pipelines").values() {
        for section in ["receivers", "processors", "exporters"] {
            used.extend(names(&pipeline[section]));
        }
    }
    assert_eq!(declared, used);
}

/// The collector names its metrics `traces_span_metrics_…`; a dashboard that asks for others stays empty.
#[test]
fn dashboards_ask_for_what_the_collector_makes() {
    let mut dashboards = 0;
    for entry in root().join("deploy/grafana").read_dir().expect("dashboards") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let dashboard: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        dashboards += 1;
        let panels = dashboard["panels"].as_array().expect("panels");
        let mut ids = BTreeSet::new();
        for panel in panels {
            assert!(ids.insert(panel["id"].as_i64()), "two panels with one id: {}", panel["title"]);
            for target in panel["targets"].as_array().expect("queries") {
                let query = target["expr"].as_str().expect("a query");
                let known = ["traces_span_metrics_calls_total{", "traces_span_metrics_duration_milliseconds_bucket{"];
                assert!(known.iter().any(|metric| query.contains(metric)), "{query}");
                assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
                assert_eq!(query.matches('{').count(), query.matches('}').count(), "{query}");
            }
        }
    }
    assert!(dashboards > 0, "no dashboard");
}
