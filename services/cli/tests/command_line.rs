//! The command line itself, from outside: what it answers when there is no suite to talk to.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `pesan` against ports on which nobody answers.
fn pesan(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pesan"));
    command.args(arguments).env_remove("PESAN_HOST").env_remove("PESAN_OUTPUT");
    for service in ["ORDER", "INVENTORY", "FULFILMENT", "BILLING", "ANALYTICS"] {
        // Free a moment ago, and not handed out again so soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.env(format!("PESAN_{service}_ENDPOINT"), format!("http://127.0.0.1:{port}"));
    }
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn what_is_not_understood_ends_with_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["kpi", "orders"],
        &["kpi", "--from", "2011-01-01", "--to", "2011-02-01"],
        &["order", "place", "--line", "A:1"],
        &["replay", "another-format", "file"],
        &["bench", "place", "--concurrency", "0"],
        &["reserve"],
    ] {
        let output = pesan(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: what is said of a mistake goes to stderr");
    }
}

#[test]
fn every_command_has_help() {
    let help = String::from_utf8(pesan(&["--help"]).stdout).unwrap();
    for command in [
        "up",
        "demo",
        "replay",
        "journey",
        "kpi",
        "feed",
        "verify",
        "bench",
        "order",
        "customer",
        "item",
        "location",
        "stock",
        "reserve",
        "fulfilment",
        "return",
        "invoice",
        "account",
        "payment",
        "ledger",
        "with-postgres",
    ] {
        assert!(help.contains(command), "{command}");
        let output = pesan(&[command, "--help"]);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(code(&output) == 0 && text.contains("Example"), "{command}: {text}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = pesan(&["completions", shell]);
        assert!(code(&output) == 0 && String::from_utf8(output.stdout).unwrap().contains("replay"), "{shell}");
    }
}

#[test]
fn a_suite_that_is_not_there_ends_with_1() {
    for arguments in [&["order", "get", "SO-000001"][..], &["journey", "SO-000001"], &["demo"], &["bench", "place"]] {
        let output = pesan(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).starts_with("error: "));
    }
    assert_eq!(code(&pesan(&["replay", "online-retail", "/nowhere.csv.gz"])), 1);
}

#[test]
fn a_suite_that_is_not_there_proves_nothing() {
    let output = pesan(&["verify", "--output", "json"]);
    assert_eq!(code(&output), 1);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let silent =
        report["invariants"].as_array().unwrap().iter().filter(|i| !i["violations"].as_array().unwrap().is_empty());
    let names: Vec<&str> = silent.map(|i| i["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["order.answers", "inventory.answers", "fulfilment.answers", "billing.answers", "analytics.answers"]
    );
}
